/* A fake provider in one thread: OpenAI's chat-completions shape over plain HTTP/1.1 on the loopback interface.
 *
 * Owns: answering fast enough never to be the bottleneck. Knows nothing of proxies, keys or real models.
 * What it does is asked for in the prompt, so that no proxy needs to know more than one model:
 *   bench:small;         one small JSON answer (also when nothing is asked for)
 *   bench:delay-M;       the same after M ms
 *   bench:stream-N-M;    N chunks, M ms apart, the first at once (0: all at once), if the body has "stream":true
 * Each chunk's content is "w<answer, 8 digits>.<chunk, 5 digits> ", so a reader can tell lost, doubled, reordered and mixed-up
 * chunks. GET /_bench/stats tells what was served. `upstream.py` beside this file is the same in Python, for machines
 * without a compiler; both must send the same bytes.
 *
 * Usage: upstream PORT     (0: any free port; the port is printed on the first line)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WHEEL = 1024, EVENTS = 256, MAX_HEAD = 64 << 10, MAX_BODY = 16 << 20 };
enum kind { IDLE, SMALL, STREAM };

struct conn {
  int fd;
  bool blocked;                        /* waits for EPOLLOUT */
  char *in, *out;
  size_t in_len, in_room, out_len, out_room;
  enum kind kind;                      /* the answer being given, if any */
  unsigned id, next, count, period_ms;
  bool usage;
  unsigned long due_ms;
  struct conn *after, **before;        /* its place in the timer wheel or in `soon` */
};

static struct conn *wheel[WHEEL], *soon;
static unsigned long waiting, ticked_ms, answers, streams, connections, aborted;
static int poller;

static void die(const char *what) { perror(what); exit(1); }

static unsigned long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (unsigned long)t.tv_sec * 1000 + (unsigned long)t.tv_nsec / 1000000;
}

/* ---- lists: a connection stands in at most one ---- */

static void enlist(struct conn **head, struct conn *c) {
  c->after = *head;
  c->before = head;
  if (*head) (*head)->before = &c->after;
  *head = c;
}

static void delist(struct conn *c) {
  if (!c->before) return;
  *c->before = c->after;
  if (c->after) c->after->before = c->before;
  c->before = NULL;
}

static void wait_until(struct conn *c, unsigned long due_ms) {
  c->due_ms = due_ms > ticked_ms ? due_ms : ticked_ms + 1;
  enlist(&wheel[c->due_ms % WHEEL], c);
  waiting++;
}

static void stop_waiting(struct conn *c) {
  if (c->before && c->due_ms) waiting--;
  c->due_ms = 0;
  delist(c);
}

/* ---- bytes out ---- */

static char *room_for(struct conn *c, size_t more) {
  if (c->out_len + more > c->out_room) {
    c->out_room = (c->out_len + more) * 2;
    c->out = realloc(c->out, c->out_room);
    if (!c->out) die("realloc");
  }
  return c->out + c->out_len;
}

static void put(struct conn *c, const char *text, size_t len) {
  memcpy(room_for(c, len), text, len);
  c->out_len += len;
}

static void watch(struct conn *c, bool writable) {
  struct epoll_event e = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
  if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e)) die("epoll_ctl");
  c->blocked = writable;
}

/* false: the client is gone (its end is then met when reading). */
static bool flush(struct conn *c) {
  size_t sent = 0;
  while (sent < c->out_len) {
    ssize_t n = send(c->fd, c->out + sent, c->out_len - sent, MSG_NOSIGNAL);
    if (n > 0) { sent += (size_t)n; continue; }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) { c->out_len = 0; return false; }
    break;
  }
  memmove(c->out, c->out + sent, c->out_len - sent);
  c->out_len -= sent;
  if ((c->out_len > 0) != c->blocked) watch(c, c->out_len > 0);
  return true;
}

/* ---- what is said ---- */

static void put_json(struct conn *c, int status, const char *body, size_t len) {
  char head[160];
  int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                   status, status == 200 ? "OK" : "Refused", len);
  put(c, head, (size_t)n);
  put(c, body, len);
}

static void put_small(struct conn *c) {
  char body[512];
  int n = snprintf(body, sizeof body,
      "{\"id\":\"chatcmpl-%08u\",\"object\":\"chat.completion\",\"created\":1760000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,"
      "\"message\":{\"role\":\"assistant\",\"content\":\"w%08u.00000 \"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
      "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":8,\"total_tokens\":28},\"system_fingerprint\":\"fp_bench\"}",
      c->id, c->id);
  put_json(c, 200, body, (size_t)n);
}

/* One SSE event as one HTTP chunk. `choices` is what differs. */
static void put_event(struct conn *c, const char *choices) {
  char event[512];
  int n = snprintf(event, sizeof event,
      "data: {\"id\":\"chatcmpl-%08u\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"bench-model\","
      "\"system_fingerprint\":\"fp_bench\",%s}\n\n", c->id, choices);
  char size[16];
  int m = snprintf(size, sizeof size, "%x\r\n", n);
  put(c, size, (size_t)m);
  put(c, event, (size_t)n);
  put(c, "\r\n", 2);
}

#define DELTA(delta, finish) "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" finish "}]"

static void put_opening(struct conn *c) {
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                             "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
  put(c, head, sizeof head - 1);
  put_event(c, DELTA("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
}

static void put_closing(struct conn *c) {
  static const char end[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
  put_event(c, DELTA("{}", "\"stop\""));
  if (c->usage)
    put_event(c, "\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":50,\"total_tokens\":70}");
  put(c, end, sizeof end - 1);
}

/* The numbers have a fixed width: a burst copies its first chunk and counts up in place. */
static void put_chunks(struct conn *c, unsigned upto) {
  char choices[160];
  snprintf(choices, sizeof choices, DELTA("{\"content\":\"w%08u.%05u \"}", "null"), c->id, c->next);
  size_t start = c->out_len;
  put_event(c, choices);
  size_t len = c->out_len - start;
  room_for(c, len * (upto - c->next));
  char *chunk = c->out + start;
  size_t digit = (size_t)((char *)memmem(chunk, len, "\"w", 2) - chunk) + 2 + 8 + 1 + 4;
  for (c->next++; c->next < upto; c->next++) {
    memcpy(chunk + len, chunk, len);
    chunk += len;
    c->out_len += len;
    size_t at = digit;
    while (chunk[at] == '9') chunk[at--] = '0';
    chunk[at]++;
  }
}

/* ---- the course of an answer ---- */

static void answer_next(struct conn *c);

static void go_on(struct conn *c) {
  stop_waiting(c);
  if (c->kind == SMALL) {
    put_small(c);
    c->kind = IDLE;
  } else {
    put_chunks(c, c->period_ms ? c->next + 1 : c->count);
    if (c->next >= c->count) {
      put_closing(c);
      c->kind = IDLE;
    } else {
      wait_until(c, ticked_ms + c->period_ms);
    }
  }
  if (flush(c) && c->kind == IDLE) answer_next(c);
}

static void begin(struct conn *c, const char *body, size_t len) {
  const char *asked = memmem(body, len, "bench:", 6);
  char task[32] = "small";
  if (asked) {
    size_t left = (size_t)(body + len - asked) - 6;
    memcpy(task, asked + 6, left < sizeof task - 1 ? left : sizeof task - 1);
    task[sizeof task - 1] = 0;
  }
  bool stream = memmem(body, len, "\"stream\":true", 13) || memmem(body, len, "\"stream\": true", 14);
  c->id = (unsigned)++answers;
  c->next = 0;
  c->count = 8;
  c->period_ms = 0;
  if (stream) {
    sscanf(task, "stream-%u-%u", &c->count, &c->period_ms);
    c->usage = memmem(body, len, "\"include_usage\"", 15) != NULL;
    streams++;
    put_opening(c);
    flush(c);
  } else {
    sscanf(task, "delay-%u", &c->period_ms);
  }
  if (c->period_ms >= WHEEL) c->period_ms = WHEEL - 1;
  c->kind = stream ? STREAM : SMALL;
  if (stream) enlist(&soon, c);  /* the opening leaves on its own, as a provider's does; the first chunk follows at once */
  else if (c->period_ms) wait_until(c, now_ms() + c->period_ms);
  else go_on(c);
}

static void answer_get(struct conn *c, const char *path) {
  char body[512];
  int n;
  if (!strncmp(path, "/_bench/stats ", 14))
    n = snprintf(body, sizeof body, "{\"answers\":%lu,\"streams\":%lu,\"connections\":%lu,\"aborted\":%lu}", answers, streams,
                 connections, aborted);
  else if (strstr(path, "/models"))
    n = snprintf(body, sizeof body, "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\",\"created\":1760000000,"
                                    "\"owned_by\":\"bench\"}]}");
  else
    n = snprintf(body, sizeof body, "{\"status\":\"ok\"}");
  put_json(c, 200, body, (size_t)n);
  flush(c);
}

/* Length of the first whole request in the buffer, 0 if it has not come whole yet; -1: not one we read. */
static long whole_request(struct conn *c, size_t *head_len) {
  char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
  if (!end) return c->in_len > MAX_HEAD ? -1 : 0;
  *head_len = (size_t)(end - c->in) + 4;
  *end = 0;
  char *field = strcasestr(c->in, "\ncontent-length:");
  bool chunked = strcasestr(c->in, "\ntransfer-encoding:") != NULL;
  long body = field ? atol(field + 16) : 0;
  *end = '\r';
  if (chunked || body < 0 || body > MAX_BODY) return -1;
  size_t len = *head_len + (size_t)body;
  return c->in_len >= len ? (long)len : 0;
}

static void answer_next(struct conn *c) {
  while (c->kind == IDLE && c->in_len) {
    size_t head = 0;
    long len = whole_request(c, &head);
    if (!len) return;
    if (len < 0) {
      static const char say[] = "{\"error\":{\"message\":\"the fake provider reads bodies with a Content-Length only\"}}";
      put_json(c, 411, say, sizeof say - 1);
      flush(c);
      shutdown(c->fd, SHUT_WR);
      c->in_len = 0;
      return;
    }
    bool get = !strncmp(c->in, "GET ", 4);
    if (get) answer_get(c, c->in + 4);
    /* begin() may come back here for the next request: take this one out of the buffer first. */
    char *body = c->in + head, *kept = NULL;
    size_t body_len = (size_t)len - head, rest = c->in_len - (size_t)len;
    if (rest && !get) {
      kept = malloc(body_len);
      if (!kept) die("malloc");
      body = memcpy(kept, body, body_len);
    }
    if (rest) memmove(c->in, c->in + len, rest);
    c->in_len = rest;
    if (!get) begin(c, body, body_len);
    free(kept);
  }
}

/* ---- connections ---- */

static void hang_up(struct conn *c) {
  if (c->kind != IDLE) aborted++;
  stop_waiting(c);
  close(c->fd);
  free(c->in);
  free(c->out);
  free(c);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = calloc(1, sizeof *c);
    if (!c) die("calloc");
    c->fd = fd;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e)) die("epoll_ctl");
    connections++;
  }
}

/* false: the connection is over. */
static bool take_in(struct conn *c) {
  if (c->in_room - c->in_len < 2048) {
    c->in_room = c->in_room ? c->in_room * 2 : 4096;
    if (c->in_room > MAX_BODY + MAX_HEAD) return false;
    c->in = realloc(c->in, c->in_room);
    if (!c->in) die("realloc");
  }
  ssize_t n = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, 0);
  if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
  c->in_len += (size_t)n;
  answer_next(c);
  return true;
}

static void tick(void) {
  for (unsigned long now = now_ms(); ticked_ms < now;) {
    ticked_ms++;
    struct conn *c, *after;
    for (c = wheel[ticked_ms % WHEEL]; c; c = after) {
      after = c->after;
      if (c->due_ms <= ticked_ms) go_on(c);
    }
  }
}

static int listen_on(unsigned short port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 8192)) die("listen");
  getsockname(fd, (struct sockaddr *)&at, &len);
  printf("%u\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  int listener = listen_on(argc > 1 ? (unsigned short)atoi(argv[1]) : 0);
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
  if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e)) die("epoll");
  ticked_ms = now_ms();
  for (;;) {
    int n = epoll_wait(poller, events, EVENTS, waiting ? 1 : -1);
    if (waiting) tick();
    else ticked_ms = now_ms();
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (!c) { accept_all(listener); continue; }
      bool alive = !(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || take_in(c);
      if (!alive) hang_up(c);
      else if (c->blocked) flush(c);
    }
    while (soon) {
      struct conn *c = soon;
      delist(c);
      go_on(c);
    }
  }
}
