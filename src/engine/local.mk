# src/engine: see README.md beside this file
libnudged_a_SOURCES += src/engine/field.c src/engine/field.h src/engine/vocabulary.c src/engine/vocabulary.h src/engine/card.h
EXTRA_DIST += lua/vocabulary.lua
libnudged_a_SOURCES += src/engine/vocabulary.h src/engine/card.h
libnudged_a_SOURCES += src/engine/replay.c src/engine/replay.h
