#ifndef DOOR_API_INT_H
#define DOOR_API_INT_H
/*
 * What the files of door/api share; nobody else includes it.
 *
 * Every job's `user` begins with a struct api_call.
 */
#include "db/read.h"
#include "door/api.h"
#include "door/ask.h"
#include "door/http.h"

enum { API_LIMIT = 50, API_LIMIT_MOST = 200, API_BODY_MOST = 16384 };

struct api {
	struct api_env env;
};

/* One request: who asks, and for what part of a list. */
struct api_call {
	struct api *api;
	struct span store; /* only what is of this store; empty: the admin, who sees all */
	struct span base;  /* the store's; empty: the admin */
	char country[4];   /* for phone numbers without + */
	int limit;
	int64_t customer; /* api_find's answer; 0: there is none */
	ask_next_fn *found;
};

/* Looks at the token, begins the job and fills its call; NULL: it has been answered. */
struct ask_job *api_begin(struct api *a, struct http_request *req, size_t user_size);
/* For `admit` of changes: only the admin; false: it has been answered. */
bool api_admit_change(void *arg, struct http_request *req);

/* The parameter, or empty text; its memory is the job's. */
struct span api_query(struct ask_job *job, const char *name);
/* `limit`; false: it has been answered. */
bool api_read_limit(struct ask_job *job);
/* Finds the customer by key and parameter `base`; then comes `found`, with call->customer.  Who is
 * not there is answered with 404 here.  rows_fn (may be NULL) gets the row of the card, and then
 * sets call->customer itself. */
void api_find(struct ask_job *job, struct span key, db_rows_fn *rows_fn, ask_next_fn *found);

/* Answers 200 with job->out. */
void api_answer(struct ask_job *job);
/* One piece of a path, unescaped; false: there is none.  Takes it from *rest. */
bool api_path_piece(struct ask_job *job, struct span *rest, struct span *ret);

/* api_list.c, api_card.c, api_task.c */
void api_on_list(void *arg, struct http_request *req);
void api_on_customer(void *arg, struct http_request *req);
void api_on_task(void *arg, struct http_request *req);
void api_on_task_change(void *arg, struct http_request *req);

#endif
