# src/db: everything that knows libpq: connections, statements, binary values, the schema
libnudged_a_SOURCES += \
	src/db/outcome.c src/db/outcome.h \
	src/db/sql.c src/db/sql.h \
	src/db/bind.c src/db/bind.h src/db/wire.h \
	src/db/conn.c src/db/conn.h \
	src/db/block.c src/db/block.h \
	src/db/read.c src/db/read.h \
	src/db/schema.c src/db/schema.h \
	src/db/keeper.c src/db/keeper.h

sqldir = $(pkgdatadir)/sql
dist_sql_DATA = sql/001_tables.sql sql/002_partitions.sql sql/003_views.sql sql/004_claims.sql \
	sql/005_rows.sql
