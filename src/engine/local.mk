# src/engine: see README.md beside this file
libnudged_a_SOURCES += \
	src/engine/field.c src/engine/field.h \
	src/engine/vocabulary.c src/engine/vocabulary.h \
	src/engine/card.c src/engine/card.h src/engine/card_part.h \
	src/engine/card_customer.c src/engine/card_order.c src/engine/card_spend.c \
	src/engine/card_message.c src/engine/card_task.c
EXTRA_DIST += lua/vocabulary.lua
libnudged_a_SOURCES += src/engine/replay.c src/engine/replay.h
libnudged_a_SOURCES += \
	src/engine/liquid.h \
	src/engine/liquid_lex.c src/engine/liquid_lex.h \
	src/engine/liquid_parse.c src/engine/liquid_tree.h \
	src/engine/liquid_value.c src/engine/liquid_value.h \
	src/engine/liquid_filter.c src/engine/liquid_filter.h \
	src/engine/liquid_text.c src/engine/liquid_math.c src/engine/liquid_array.c \
	src/engine/liquid_render.c \
	src/engine/format.c src/engine/format.h
libnudged_a_SOURCES += src/engine/mailtext.c src/engine/mailtext.h
