# src/engine: see README.md beside this file
libnudged_a_SOURCES += src/engine/vocabulary.h src/engine/card.h
