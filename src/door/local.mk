# src/door: see README.md beside this file
libnudged_a_SOURCES += \
	src/door/http_head.c src/door/http_head.h \
	src/door/http_peers.c src/door/http_peers.h \
	src/door/http_conn.c src/door/http_conn.h \
	src/door/http_request.c \
	src/door/http.c src/door/http.h
libnudged_a_SOURCES += src/door/metrics.c src/door/metrics.h
libnudged_a_SOURCES += src/door/envelope.c src/door/envelope.h \
	src/door/envelope_binary.c src/door/envelope_binary.h
libnudged_a_SOURCES += \
	src/door/access.c src/door/access.h \
	src/door/events.c src/door/events.h
libnudged_a_SOURCES += \
	src/door/mqtt_client.c src/door/mqtt_client.h \
	src/door/mqtt_message.c src/door/mqtt_message.h \
	src/door/mqtt_seat.c src/door/mqtt_seat.h \
	src/door/mqtt.c src/door/mqtt.h
libnudged_a_SOURCES += src/door/ask.c src/door/ask.h
libnudged_a_SOURCES += src/door/health.c src/door/health.h
libnudged_a_SOURCES += src/door/api.c src/door/api.h src/door/api_int.h \
	src/door/api_list.c src/door/api_card.c src/door/api_task.c
libnudged_a_SOURCES += src/door/optout.c src/door/optout.h
