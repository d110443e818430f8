/* The provider of the benchmark: one thread, epoll, HTTP/1.1 with keep-alive. Usage: mock PORT (0: a free one, printed).
 *
 * What it answers is in the model's name, so that any proxy can carry it: bench-KIND-N-MS, KIND being
 *   p  N tokens, one every MS milliseconds      b  N tokens in one write      i  one token, then silence
 * streamed if the ask wants a stream (chat completions, or DashScope's own protocol), else one JSON with all N tokens.
 * GET .../bench-SIZE/... downloads SIZE bytes; POST .../files counts and hashes what it gets.
 * Each token is "@MICROSECONDS#INDEX ": when it was sent, on the clock that all processes of a machine share. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { KEEP = 1 << 20, PIECE = 1 << 16 };

typedef struct {
    int fd, closed, waiting, streaming, native, usage, last, index, count, gap, chunked, sum_only;
    char kind, model[64], path[256];
    char *in, *out, *kept;
    size_t in_len, in_cap, out_len, out_at, out_cap, held, kept_cap;
    uint64_t due, download, body_left, body_bytes, hash;
    int in_body, chunk_state;
} Conn;

static int poller, timer;
static Conn **heap;
static size_t waiting, heap_cap;
static char zeros[PIECE];

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void push(Conn *c) {
    if (waiting == heap_cap) heap = realloc(heap, (heap_cap = heap_cap ? 2 * heap_cap : 256) * sizeof *heap);
    size_t i = waiting++;
    while (i && heap[(i - 1) / 2]->due > c->due) heap[i] = heap[(i - 1) / 2], i = (i - 1) / 2;
    heap[i] = c;
    c->waiting = 1;
}

static Conn *pop(void) {
    Conn *top = heap[0], *last = heap[--waiting];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < waiting) {
        if (child + 1 < waiting && heap[child + 1]->due < heap[child]->due) child++;
        if (last->due <= heap[child]->due) break;
        heap[i] = heap[child], i = child;
    }
    if (waiting) heap[i] = last;
    top->waiting = 0;
    return top;
}

static void drop(Conn *c) {
    if (!c->closed) close(c->fd);
    c->closed = 1;
    if (c->waiting) return; /* freed when its turn comes */
    free(c->in), free(c->out), free(c->kept), free(c);
}

static void put(Conn *c, const char *data, size_t len) {
    if (c->out_len + len > c->out_cap) c->out = realloc(c->out, c->out_cap = 2 * (c->out_len + len));
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

static void putf(Conn *c, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(c, text, len);
}

/* One chunk of a chunked body; a real provider sends each event as one. */
static void chunk(Conn *c, const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    putf(c, "%x\r\n", len);
    put(c, text, len);
    put(c, "\r\n", 2);
}

static int flush(Conn *c) {
    for (;;) {
        if (c->out_at == c->out_len) {
            c->out_at = c->out_len = 0;
            if (!c->download) break;
            put(c, zeros, c->download < PIECE ? c->download : PIECE);
            c->download -= c->out_len;
        }
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return -1;
        c->out_at += n;
    }
    struct epoll_event event = {EPOLLIN | (c->out_len ? EPOLLOUT : 0), {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    return 0;
}

static const char *CHUNK = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                           "\"model\":\"%s\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{\"index\":0,\"delta\":"
                           "{%s},\"logprobs\":null,\"finish_reason\":%s}]}\n\n";
static const char *NATIVE = "id:%d\nevent:result\n:HTTP_STATUS/200\ndata:{\"output\":{\"choices\":[{\"message\":{"
                            "\"content\":\"%s\",\"role\":\"assistant\"},\"finish_reason\":\"%s\"}]},\"usage\":{"
                            "\"input_tokens\":9,\"output_tokens\":%d,\"total_tokens\":%d},\"request_id\":\"bench\"}\n\n";

static void token(Conn *c) {
    char said[64], delta[96];
    sprintf(said, "@%016llu#%04d ", (unsigned long long)now_us(), c->index++);
    sprintf(delta, "\"content\":\"%s\"", said);
    if (c->native) chunk(c, NATIVE, c->index, said, "null", c->index, 9 + c->index);
    else chunk(c, CHUNK, c->model, delta, "null");
}

static void finish(Conn *c) {
    if (c->native) chunk(c, NATIVE, c->index + 1, "", "stop", c->index, 9 + c->index);
    else {
        chunk(c, CHUNK, c->model, "", "\"stop\"");
        if (c->usage)
            chunk(c, "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                  "\"model\":\"%s\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d,"
                  "\"total_tokens\":%d}}\n\n", c->model, c->count, 9 + c->count);
        chunk(c, "data: [DONE]\n\n");
    }
    put(c, "0\r\n\r\n", 5);
    c->streaming = 0;
}

static void stream(Conn *c) {
    putf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream%s\r\nCache-Control: no-cache\r\n"
         "Transfer-Encoding: chunked\r\n\r\n", c->native ? ";charset=UTF-8" : "; charset=utf-8");
    c->streaming = 1;
    c->index = 0;
    if (!c->native) chunk(c, CHUNK, c->model, "\"role\":\"assistant\",\"content\":\"\"", "null");
    token(c);
    if (c->kind == 'b') {
        while (c->index < c->count) token(c);
        finish(c);
    } else if (c->kind == 'p') {
        c->due = now_us() + c->gap;
        push(c);
    }
}

static void whole(Conn *c) {
    size_t cap = 1024 + 24 * (size_t)c->count, len = 0;
    char *text = malloc(cap);
    const char *head = c->native
        ? "{\"output\":{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\""
        : "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"%s\","
          "\"system_fingerprint\":\"fp_bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"";
    const char *tail = c->native
        ? "\"}}]},\"usage\":{\"input_tokens\":9,\"output_tokens\":%d,\"total_tokens\":%d},\"request_id\":\"bench\"}"
        : "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
          "\"completion_tokens\":%d,\"total_tokens\":%d}}";
    len += sprintf(text, head, c->model);
    for (int i = 0; i < c->count; i++) len += sprintf(text + len, "@%016llu#%04d ", (unsigned long long)now_us(), i);
    len += sprintf(text + len, tail, c->count, 9 + c->count);
    putf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", len);
    put(c, text, len);
    free(text);
}

static int says(const char *body, const char *key, const char *value) {
    const char *at = strstr(body, key);
    if (!at) return 0;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    return !strncmp(at, value, strlen(value));
}

static void json(Conn *c, const char *text) {
    putf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);
}

/* The whole request is there: in[0, head) its head, in[head, head + kept) the first of its body. */
static void answer(Conn *c, char *body) {
    char text[128];
    unsigned long long size;
    const char *at = strstr(c->path, "/bench-");
    if (at && sscanf(at, "/bench-%llu/", &size) == 1) {
        putf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n", size);
        c->download = size;
        return;
    }
    if (c->sum_only) {
        sprintf(text, "{\"bytes\":%llu,\"fnv\":\"%016llx\"}", (unsigned long long)c->body_bytes, (unsigned long long)c->hash);
        return json(c, text);
    }
    at = strstr(body, "bench-");
    if (!at || sscanf(at, "bench-%c-%d-%d", &c->kind, &c->count, &c->gap) != 3) return json(c, "{\"object\":\"list\",\"data\":[]}");
    sscanf(at, "%63[a-z0-9-]", c->model);
    c->gap *= 1000;
    c->usage = says(body, "\"include_usage\"", "true");
    if (c->native ? c->streaming : says(body, "\"stream\"", "true")) stream(c);
    else whole(c);
}

/* Steps over a chunked body; 1 once its last byte was at *p. States: 0 size, 1 data, 2 CRLF behind data, 3 trailer. */
static int unchunk(Conn *c, char *p) {
    switch (c->chunk_state) {
    case 0:
        if (*p == '\n') c->chunk_state = c->body_left ? 1 : 3, c->last = 0;
        else if (*p != '\r' && !c->last) {
            int digit = *p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10;
            if (digit < 0 || digit > 15) c->last = 1; /* an extension */
            else c->body_left = c->body_left * 16 + digit;
        }
        return 0;
    case 1:
        c->hash = (c->hash ^ (unsigned char)*p) * 1099511628211ull, c->body_bytes++;
        if (!--c->body_left) c->chunk_state = 2;
        return 0;
    case 2:
        if (*p == '\n') c->chunk_state = 0;
        return 0;
    }
    if (*p == '\n') return c->last == 0 ? 1 : (c->last = 0);
    if (*p != '\r') c->last = 1;
    return 0;
}

static char *header(char *head, const char *name) {
    char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

static void begin(Conn *c, char *head) {
    c->in_body = 1, c->chunk_state = 0, c->last = 0, c->body_bytes = 0, c->hash = 14695981039346656037ull;
    sscanf(head, "%*s %255s", c->path);
    char *length = header(head, "\r\ncontent-length:"), *coding = header(head, "\r\ntransfer-encoding:");
    c->chunked = coding && !strncasecmp(coding, "chunked", 7);
    c->body_left = c->chunked || !length ? 0 : strtoull(length, NULL, 10);
    c->native = strstr(c->path, "/text-generation/") != NULL;
    c->streaming = header(head, "\r\nx-dashscope-sse:") != NULL;
    c->sum_only = !strncmp(head, "POST", 4) && strstr(c->path, "/files") != NULL;
}

static void keep(Conn *c, char byte) {
    if (c->held + 1 >= c->kept_cap) c->kept = realloc(c->kept, c->kept_cap = 2 * c->kept_cap + 4096);
    c->kept[c->held++] = byte;
}

/* Takes what is in the buffer; the first KEEP bytes of an ask stay for answer(), of an upload none. */
static void understand(Conn *c) {
    size_t at = 0;
    while (at < c->in_len) {
        if (!c->in_body) {
            char *end = memmem(c->in + at, c->in_len - at, "\r\n\r\n", 4);
            if (!end) break;
            end[2] = 0;
            begin(c, c->in + at);
            at = end + 4 - c->in;
        }
        int over = !c->chunked && !c->body_left;
        while (!over && at < c->in_len) {
            char *p = c->in + at++;
            if (!c->sum_only && c->held < KEEP && (!c->chunked || c->chunk_state == 1)) keep(c, *p);
            if (c->chunked) over = unchunk(c, p);
            else c->hash = (c->hash ^ (unsigned char)*p) * 1099511628211ull, c->body_bytes++, over = !--c->body_left;
        }
        if (!over) break;
        keep(c, 0), c->held = 0, c->in_body = 0;
        answer(c, c->kept);
    }
    memmove(c->in, c->in + at, c->in_len -= at);
}

static int hear(Conn *c) {
    if (c->in_cap - c->in_len < PIECE) c->in = realloc(c->in, c->in_cap = 2 * c->in_cap + 2 * PIECE);
    ssize_t n = recv(c->fd, c->in + c->in_len, PIECE, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return -1;
    c->in_len += n;
    understand(c);
    return flush(c);
}

static void speak(void) {
    uint64_t now = now_us();
    while (waiting && heap[0]->due <= now) {
        Conn *c = pop();
        if (c->closed) {
            drop(c);
            continue;
        }
        if (c->index < c->count) {
            token(c);
            c->due += c->gap;
            push(c);
        } else finish(c);
        if (flush(c) < 0) drop(c);
    }
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (waiting) when.it_value.tv_sec = heap[0]->due / 1000000, when.it_value.tv_nsec = heap[0]->due % 1000000 * 1000;
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    memset(zeros, '.', PIECE);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in where = {AF_INET, htons(argc > 1 ? atoi(argv[1]) : 0), {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof where;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&where, size) || listen(listener, 8192)) return perror("mock"), 1;
    getsockname(listener, (void *)&where, &size);
    printf("%d\n", ntohs(where.sin_port));
    fflush(stdout);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event events[256], event = {EPOLLIN, {.ptr = NULL}}, ticks = {EPOLLIN, {.ptr = &timer}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &ticks);
    for (;;) {
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            Conn *c = events[i].data.ptr;
            uint64_t count;
            if ((void *)c == (void *)&timer) {
                if (read(timer, &count, sizeof count) < 0 && errno != EAGAIN) return 1;
            } else if (!c) {
                int fd;
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    event.data.ptr = c;
                    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
                    event.data.ptr = NULL;
                }
            } else if (((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && hear(c) < 0) ||
                       ((events[i].events & EPOLLOUT) && flush(c) < 0)) drop(c);
        }
        speak();
    }
}
