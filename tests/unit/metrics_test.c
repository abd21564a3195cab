/* metrics_test.c: sums over slots, restarts, and the format. */
#include "door/metrics.h"
#include "model/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct metrics *metrics;
static struct buf text;

static int setup(void **state)
{
	struct err err;

	(void)state;
	metrics = metrics_open(3, &err);
	return metrics == NULL;
}

static int teardown(void **state)
{
	(void)state;
	metrics_close(metrics);
	buf_free(&text);
	return 0;
}

/* The line is in the exposition. */
static void has(const char *line)
{
	char *found;

	buf_clear(&text);
	metrics_write(metrics, &text);
	found = strstr(text.p, line);
	if (found == NULL || found[-1] != '\n' || found[strlen(line)] != '\n')
		fail_msg("no line \"%s\" in:\n%s", line, text.p);
}

static void test_slots_are_summed_over_processes(void **state)
{
	struct metrics_slot *s = metrics_enter(metrics, 0);
	int status;
	pid_t pid;

	(void)state;
	metrics_cells(s, METRIC_EVENTS)[METRIC_FROM_HTTP * 5 + EVENT_ACCEPTED] += 3;
	*metrics_cells(s, METRIC_DATABASE_CONNECTED) = 1;
	metrics_cells(s, METRIC_QUEUE_OLDEST)[METRIC_Q_CHAINS] = 7;
	pid = fork();
	if (pid == 0) {
		s = metrics_enter(metrics, 1);
		metrics_cells(s, METRIC_EVENTS)[METRIC_FROM_HTTP * 5 + EVENT_ACCEPTED] += 4;
		*metrics_cells(s, METRIC_DATABASE_CONNECTED) = 1;
		metrics_cells(s, METRIC_QUEUE_OLDEST)[METRIC_Q_CHAINS] = 5;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	has("nudged_events_ingested_total{source=\"http\",result=\"accepted\"} 7");
	has("nudged_events_ingested_total{source=\"mqtt\",result=\"duplicate\"} 0");
	has("nudged_database_connected 2");
	has("nudged_queue_oldest_seconds{queue=\"chains\"} 7");
	has("nudged_processes 2");
	metrics_leave(metrics, 1);
	has("nudged_events_ingested_total{source=\"http\",result=\"accepted\"} 7");
	has("nudged_database_connected 1");
	s = metrics_enter(metrics, 1);
	metrics_cells(s, METRIC_EVENTS)[METRIC_FROM_HTTP * 5 + EVENT_ACCEPTED]++;
	has("nudged_events_ingested_total{source=\"http\",result=\"accepted\"} 8");
	has("nudged_processes 2");
}

static void test_histograms_add_up(void **state)
{
	struct metrics_slot *s = metrics_enter(metrics, 2);

	(void)state;
	metrics_observe(s, METRIC_INGEST_COMMIT, 500);
	metrics_observe(s, METRIC_INGEST_COMMIT, 501);
	metrics_observe(s, METRIC_INGEST_COMMIT, -5);
	metrics_observe(s, METRIC_INGEST_COMMIT, 900000000);
	has("# TYPE nudged_ingest_commit_seconds histogram");
	has("nudged_ingest_commit_seconds_bucket{le=\"0.0005\"} 2");
	has("nudged_ingest_commit_seconds_bucket{le=\"0.001\"} 3");
	has("nudged_ingest_commit_seconds_bucket{le=\"600\"} 3");
	has("nudged_ingest_commit_seconds_bucket{le=\"+Inf\"} 4");
	has("nudged_ingest_commit_seconds_sum 900.001001");
	has("nudged_ingest_commit_seconds_count 4");
}

static void test_rooms_are_copied(void **state)
{
	struct metrics_slot *s = metrics_enter(metrics, 0);
	struct http_stats stats = {
		.accepted = 5, .connections = 2, .answered = { 0, 0, 9, 0, 1, 0 }
	};

	(void)state;
	stats.refused[HTTP_REFUSED_SIZE] = 6;
	metrics_publish_http(s, &stats);
	metrics_publish_http(s, &stats);
	has("nudged_http_connections 2");
	has("nudged_http_answers_total{class=\"2xx\"} 9");
	has("nudged_http_answers_total{class=\"4xx\"} 1");
	has("nudged_http_refused_total{reason=\"size\"} 6");
	metrics_publish_process(s);
	assert_true(*metrics_cells(s, METRIC_PROCESS_RSS) > 100000);
	assert_true(*metrics_cells(s, METRIC_PROCESS_FDS) >= 3);
	if (getenv("METRICS_DUMP"))
		fputs(text.p, stderr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_slots_are_summed_over_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_histograms_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rooms_are_copied, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
