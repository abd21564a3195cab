# src/engine: see README.md beside this file
# the rule state: sandbox, patterns, events and times in Lua, rule files
libnudged_a_SOURCES += \
	src/engine/pattern.c src/engine/pattern.h \
	src/engine/script.c src/engine/script.h \
	src/engine/script_check.c src/engine/script_check.h \
	src/engine/script_lib.c src/engine/script_lib.h \
	src/engine/script_string.c src/engine/script_table.c \
	src/engine/lua_json.c src/engine/lua_json.h \
	src/engine/bind_time.c src/engine/bind_time.h \
	src/engine/what.c src/engine/what.h \
	src/engine/rules.c src/engine/rules.h \
	src/engine/rules_read.c src/engine/rules_read.h \
	src/engine/calendar.c src/engine/calendar.h
libnudged_a_SOURCES += \
	src/engine/field.c src/engine/field.h \
	src/engine/vocabulary.c src/engine/vocabulary.h \
	src/engine/card.c src/engine/card.h src/engine/card_part.h \
	src/engine/card_customer.c src/engine/card_order.c src/engine/card_spend.c \
	src/engine/card_message.c src/engine/card_task.c src/engine/card_join.c
EXTRA_DIST += lua/vocabulary.lua
libnudged_a_SOURCES += src/engine/replay.c src/engine/replay.h
libnudged_a_SOURCES += \
	src/engine/liquid.h \
	src/engine/liquid_lex.c src/engine/liquid_lex.h \
	src/engine/liquid_parse.c src/engine/liquid_parse.h src/engine/liquid_tree.h \
	src/engine/liquid_expr.c src/engine/liquid_roots.c \
	src/engine/liquid_value.c src/engine/liquid_value.h \
	src/engine/liquid_filter.c src/engine/liquid_filter.h \
	src/engine/liquid_text.c src/engine/liquid_math.c src/engine/liquid_array.c \
	src/engine/liquid_render.c \
	src/engine/format.c src/engine/format.h
libnudged_a_SOURCES += src/engine/mailtext.c src/engine/mailtext.h
libnudged_a_SOURCES += src/engine/judge.c src/engine/judge.h src/engine/sitting.h src/engine/desk.c \
	src/engine/start.c src/engine/start.h src/engine/wake.c src/engine/wake.h \
	src/engine/chain_step.c src/engine/chain_step.h src/engine/eval.c src/engine/eval.h \
	src/engine/waits.c src/engine/waits.h src/engine/ask.c src/engine/ask.h \
	src/engine/show.c src/engine/show.h src/engine/verdict.c src/engine/verdict.h \
	src/engine/switchboard.c src/engine/switchboard.h src/engine/arbiter.c \
	src/engine/arbiter.h src/engine/args.c src/engine/args.h src/engine/binds.h \
	src/engine/bind_act.c src/engine/bind_ask.c src/engine/bind_customer.c \
	src/engine/bind_moment.c src/engine/bind_send.c src/engine/bind_wait.c
libnudged_a_SOURCES += src/engine/lint.c src/engine/lint.h src/engine/lint_int.h src/engine/lint_call.c \
	src/engine/lint_flow.c src/engine/lint_value.c src/engine/lint_value.h src/engine/lint_tree.c \
	src/engine/lint_tree.h src/engine/lint_lex.c src/engine/lint_lex.h \
	src/engine/lint_type.c
