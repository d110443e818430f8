/* The client of the benchmark: one thread, epoll, HTTP/1.1 with keep-alive; asks, and looks at every byte of the answers.
 *
 * load --port N [--path P] [--method M] [--body FILE] [--header "K: V"]... [--upload BYTES] [--n ANSWERS] [--conns C]
 *      [--rate STARTS_A_SECOND, 0: as fast as answers come] [--tokens IN_EACH_ANSWER] [--last] [--hold] [--late US]
 *      [--timeout SECONDS]
 * Prints one line of JSON. A token is "@MICROSECONDS#INDEX " (mock.c): its delay is its arrival minus its stamp; --last
 * counts the last one of each answer only (a stream made into a whole). Answers are compared by a hash in which the
 * stamps are zeros. --hold: print once each stream has its first token, and keep all open until standard input ends. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 18, HASHES = 8 };

typedef struct {
    uint32_t *at;
    size_t len, cap;
} List;

typedef struct {
    int fd, busy, status, chunked, sized, state, digits, index, next, tokens, bad, closing, held, number, last_line;
    char head[16384];
    size_t head_len, sent;
    uint64_t left, begun, stamp, hash, bytes;
} Conn;

static int port, conns = 1, tokens, only_last, hold, poller, free_count, open_count;
static long wanted = 1, started, answered, failed, torn, wrong, held;
static long statuses[600];
static double rate, timeout_s = 60;
static uint64_t late_us = 20000, upload, received, late, zero_time;
static char request_head[16384], *body;
static size_t head_len, body_len;
static List delays, firsts, wholes;
static Conn **idle;
static uint64_t hashes[HASHES];
static long hash_count[HASHES + 1];

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void add(List *list, uint64_t value) {
    if (list->len == list->cap) list->at = realloc(list->at, (list->cap = list->cap ? 2 * list->cap : 4096) * 4);
    list->at[list->len++] = value > UINT32_MAX ? UINT32_MAX : value;
}

static int order(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void show(const char *name, List *list) {
    static const double parts[] = {0.5, 0.9, 0.99, 0.999, 1};
    static const char *names[] = {"p50", "p90", "p99", "p999", "max"};
    qsort(list->at, list->len, 4, order);
    printf(",\"%s\":{\"count\":%zu", name, list->len);
    for (int i = 0; i < 5 && list->len; i++) {
        size_t at = (size_t)(parts[i] * list->len);
        printf(",\"%s\":%u", names[i], list->at[at < list->len ? at : list->len - 1]);
    }
    printf("}");
}

static void report(double seconds) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"answers\":%ld,\"failed\":%ld,\"torn\":%ld,\"wrong\":%ld,\"held\":%ld,\"unfinished\":%ld,\"seconds\":%.6f,"
           "\"bytes\":%llu,\"late\":%llu,\"late_us\":%llu,\"load_cpu\":%.6f,\"statuses\":{",
           answered, failed, torn, wrong, held, started - answered - failed - torn, seconds, (unsigned long long)received,
           (unsigned long long)late, (unsigned long long)late_us, used.ru_utime.tv_sec + used.ru_utime.tv_usec / 1e6 +
           used.ru_stime.tv_sec + used.ru_stime.tv_usec / 1e6);
    const char *comma = "";
    for (int i = 0; i < 600; i++) if (statuses[i]) printf("%s\"%d\":%ld", comma, i, statuses[i]), comma = ",";
    printf("},\"hashes\":{");
    comma = "";
    for (int i = 0; i < HASHES && hash_count[i]; i++)
        printf("%s\"%016llx\":%ld", comma, (unsigned long long)hashes[i], hash_count[i]), comma = ",";
    printf("},\"other_hashes\":%ld", hash_count[HASHES]);
    show("delay", &delays), show("first", &firsts), show("whole", &wholes);
    printf("}\n");
    fflush(stdout);
}

static void mix(Conn *c, unsigned char byte) { c->hash = (c->hash ^ byte) * 1099511628211ull; }

static void token(Conn *c, uint64_t now) {
    uint64_t delay = now > c->stamp ? now - c->stamp : 0;
    if (c->index != c->next++) c->bad++;
    if (!c->tokens++) {
        add(&firsts, now - c->begun);
        if (hold) c->held = 1, held++;
    }
    if (only_last && c->index != tokens - 1) return;
    add(&delays, delay);
    if (delay > late_us) late++;
}

/* state: 0 text, 1..16 digits of the stamp, 17 the #, 18..21 digits of the index */
static void payload(Conn *c, const char *data, size_t len, uint64_t now) {
    c->bytes += len;
    for (size_t i = 0; i < len; i++) {
        char byte = data[i];
        if (!c->state) {
            mix(c, byte);
            if (tokens && byte == '@') c->state = 1, c->stamp = 0, c->index = 0;
        } else if (c->state == 17 ? byte != '#' : byte < '0' || byte > '9') {
            c->state = 0, c->bad++, mix(c, byte); /* a torn token */
        } else if (c->state <= 16) {
            c->stamp = c->stamp * 10 + byte - '0', mix(c, '0'), c->state++;
        } else if (c->state == 17) {
            mix(c, byte), c->state++;
        } else {
            c->index = c->index * 10 + byte - '0', mix(c, byte);
            if (c->state++ == 21) token(c, now), c->state = 0;
        }
    }
}

static void shut(Conn *c) {
    close(c->fd);
    free(c);
    open_count--;
}

static void watch(Conn *c, int what) {
    struct epoll_event event = {what, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

static int send_more(Conn *c) {
    static char filler[PIECE];
    size_t whole = head_len + (upload ? upload : body_len);
    if (!filler[0]) memset(filler, 'x', PIECE);
    while (c->sent < whole) {
        const char *from = c->sent < head_len ? request_head + c->sent : upload ? filler : body + c->sent - head_len;
        size_t len = c->sent < head_len ? head_len - c->sent : whole - c->sent;
        if (upload && len > PIECE) len = PIECE;
        ssize_t n = send(c->fd, from, len, MSG_NOSIGNAL | (c->sent + len < whole ? MSG_MORE : 0));
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return watch(c, EPOLLIN | EPOLLOUT), 0;
        if (n < 0) return -1;
        c->sent += n;
    }
    watch(c, EPOLLIN);
    return 0;
}

static int ask(Conn *c) {
    c->busy = 1, c->status = c->chunked = c->sized = c->state = c->next = c->tokens = c->bad = c->closing = 0;
    c->head_len = c->sent = 0, c->left = 0, c->bytes = 0, c->hash = 14695981039346656037ull, c->number = 0;
    c->begun = now_us();
    return send_more(c);
}

static Conn *dial(void) {
    int one = 1;
    struct sockaddr_in where = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    Conn *c = calloc(1, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&where, sizeof where)) return perror("connect"), exit(1), NULL;
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {EPOLLIN, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    open_count++;
    return c;
}

/* A connection that is free, or a new one; none if all are busy. */
static void start(void) {
    while (started < wanted) {
        if (rate && now_us() < zero_time + (uint64_t)(started * 1e6 / rate)) return;
        if (!free_count && open_count >= conns) return;
        Conn *c = free_count ? idle[--free_count] : dial();
        started++;
        if (ask(c) < 0) torn++, shut(c);
    }
}

static void done(Conn *c, uint64_t now) {
    if (c->status == 200) answered++, add(&wholes, now - c->begun);
    else failed++;
    statuses[c->status < 600 ? c->status : 599]++;
    if (c->status == 200 && tokens && (c->next != tokens || c->bad)) wrong++;
    received += c->bytes;
    for (int i = 0; i <= HASHES; i++) {
        if (i < HASHES && hash_count[i] && hashes[i] != c->hash) continue;
        if (i < HASHES) hashes[i] = c->hash;
        hash_count[i]++;
        break;
    }
    c->busy = 0;
    if (c->closing) shut(c);
    else idle[free_count++] = c;
}

static const char *field(const char *head, const char *name) {
    const char *at = strcasestr(head, name);
    return at ? at + strlen(name) + strspn(at + strlen(name), " ") : NULL;
}

static void understand_head(Conn *c) {
    const char *length = field(c->head, "\r\ncontent-length:"), *coding = field(c->head, "\r\ntransfer-encoding:");
    const char *connection = field(c->head, "\r\nconnection:");
    c->status = atoi(c->head + 9);
    c->chunked = coding && !strncasecmp(coding, "chunked", 7);
    c->sized = length != NULL;
    c->left = length && !c->chunked ? strtoull(length, NULL, 10) : 0;
    c->closing = (connection && !strncasecmp(connection, "close", 5)) || (!c->sized && !c->chunked);
    c->digits = c->number = 0;
}

/* Chunked framing; number: 0 a size line, 1 data, 2 the line end behind data, 3 the trailer. Returns bytes taken, -1 at the end. */
static ssize_t dechunk(Conn *c, const char *data, size_t len, uint64_t now) {
    if (c->number == 1) {
        size_t take = len < c->left ? len : c->left;
        payload(c, data, take, now);
        if (!(c->left -= take)) c->number = 2;
        return take;
    }
    if (c->number == 2) return c->number = *data == '\n' ? 0 : 2, c->digits = 0, 1;
    if (c->number == 3) {
        if (*data == '\n' && !c->last_line) return -1;
        c->last_line = *data == '\n' ? 0 : c->last_line | (*data != '\r');
        return 1;
    }
    if (*data == '\n') c->number = c->left ? 1 : 3, c->last_line = 0;
    else if (*data != '\r' && c->digits >= 0) {
        int digit = *data <= '9' ? *data - '0' : (*data | 32) - 'a' + 10;
        if (digit < 0 || digit > 15) c->digits = -1; /* an extension */
        else c->left = c->left * 16 + digit;
    }
    return 1;
}

/* 1: the answer is complete. */
static int take(Conn *c, const char *data, size_t len, uint64_t now) {
    while (len && !c->status) {
        if (c->head_len == sizeof c->head - 1) return -1;
        c->head[c->head_len++] = *data++, len--;
        if (c->head_len > 3 && !memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4)) {
            c->head[c->head_len] = 0;
            understand_head(c);
            if (c->sized && !c->left) return 1;
        }
    }
    while (len) {
        ssize_t used;
        if (c->chunked) {
            if ((used = dechunk(c, data, len, now)) < 0) return 1;
        } else {
            used = c->sized && len > c->left ? c->left : len;
            payload(c, data, used, now);
            if (c->sized && !(c->left -= used)) return 1;
        }
        data += used, len -= used;
    }
    return 0;
}

static void hear(Conn *c) {
    static char buffer[PIECE];
    ssize_t n = recv(c->fd, buffer, PIECE, 0);
    uint64_t now = now_us();
    if (n < 0 && errno == EAGAIN) return;
    if (!c->busy) { /* closed while idle */
        for (int i = 0; i < free_count; i++) if (idle[i] == c) idle[i] = idle[--free_count];
        return shut(c);
    }
    if (n > 0) {
        int over = take(c, buffer, n, now);
        if (over > 0) done(c, now);
        else if (over < 0) torn++, shut(c);
    } else if (n == 0 && c->status && !c->sized && !c->chunked) done(c, now);
    else torn++, shut(c);
}

static void arguments(int argc, char **argv) {
    char path[1024] = "/v1/chat/completions", method[16] = "POST", headers[8192] = "";
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--last")) { only_last = 1; continue; }
        if (!strcmp(name, "--hold")) { hold = 1; continue; }
        i++;
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--path")) snprintf(path, sizeof path, "%s", value);
        else if (!strcmp(name, "--method")) snprintf(method, sizeof method, "%s", value);
        else if (!strcmp(name, "--header")) strncat(headers, value, 4000), strcat(headers, "\r\n");
        else if (!strcmp(name, "--upload")) upload = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--n")) wanted = atol(value);
        else if (!strcmp(name, "--conns")) conns = atoi(value);
        else if (!strcmp(name, "--rate")) rate = atof(value);
        else if (!strcmp(name, "--tokens")) tokens = atoi(value);
        else if (!strcmp(name, "--late")) late_us = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--timeout")) timeout_s = atof(value);
        else if (!strcmp(name, "--body")) {
            FILE *file = fopen(value, "rb");
            if (!file) perror(value), exit(2);
            body = malloc(1 << 26);
            body_len = fread(body, 1, 1 << 26, file);
            fclose(file);
        } else fprintf(stderr, "unknown: %s\n", name), exit(2);
    }
    head_len = snprintf(request_head, sizeof request_head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s", method, path, port, headers);
    if (strcmp(method, "GET"))
        head_len += sprintf(request_head + head_len, "Content-Length: %llu\r\n", (unsigned long long)(upload ? upload : body_len));
    head_len += sprintf(request_head + head_len, "\r\n");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    arguments(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    idle = calloc(conns + 1, sizeof *idle);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event events[256], ticks = {EPOLLIN, {.ptr = &timer}};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &ticks);
    zero_time = now_us();
    uint64_t end = zero_time + (uint64_t)(timeout_s * 1e6);
    while (answered + failed + torn < wanted && now_us() < end && !(hold && held == wanted)) {
        start();
        uint64_t next = end, due = zero_time + (uint64_t)(started * 1e6 / (rate ? rate : 1e6));
        if (rate && started < wanted && (free_count || open_count < conns) && due < end) next = due;
        struct itimerspec when = {{0, 0}, {next / 1000000, next % 1000000 * 1000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            Conn *c = events[i].data.ptr;
            uint64_t count;
            if ((void *)c == (void *)&timer) {
                if (read(timer, &count, sizeof count) < 0 && errno != EAGAIN) return 1;
            } else if ((events[i].events & EPOLLOUT) && c->busy && send_more(c) < 0) torn++, shut(c);
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) hear(c);
        }
    }
    report((now_us() - zero_time) / 1e6);
    if (hold) while (getchar() != EOF) {}
    return 0;
}
