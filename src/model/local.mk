# src/model: see README.md beside this file
libnudged_a_SOURCES += src/model/shop.h
