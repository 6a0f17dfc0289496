/* LD_PRELOAD: remembers what a crash would undo. Before every write to a file below
 * $CITYMAP_FAULT_DIR the old bytes go to $CITYMAP_FAULT_UNDO/<name>; fsync forgets them. Whoever
 * kills the process applies what is left, and so gets the file as a disk without a cache had it.
 * While $CITYMAP_FAULT_UNDO/full exists, writes fail with "no space left on device".
 * cc -shared -fPIC -O2 -o drop_unsynced.so drop_unsynced.c -ldl -lpthread */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static const char *dir, *undo_dir;

__attribute__((constructor)) static void start(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  dir = getenv("CITYMAP_FAULT_DIR");
  undo_dir = getenv("CITYMAP_FAULT_UNDO");
}

/* The name of the undo file, where `fd` is a database file or its log. */
static int tracked(int fd, char *undo) {
  char link[64], path[4096];
  if (!dir || !undo_dir) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  size_t d = strlen(dir);
  if (strncmp(path, dir, d) || path[d] != '/') return 0;
  if (n > 4 && !strcmp(path + n - 4, "-shm")) return 0; /* an index, rebuilt after a crash */
  if (!strstr(path + d, ".sqlite")) return 0;
  for (char *c = path + d + 1; *c; c++) if (*c == '/') *c = '%';
  snprintf(undo, 4096, "%s/%s.undo", undo_dir, path + d + 1);
  return 1;
}

static int full(void) {
  char path[4096];
  snprintf(path, sizeof path, "%s/full", undo_dir);
  return access(path, F_OK) == 0;
}

static void remember(int fd, const char *undo, off_t at, size_t len) {
  struct stat s;
  if (fstat(fd, &s)) return;
  int64_t head[3] = {at, 0, s.st_size};
  size_t have = at < s.st_size ? (size_t)(s.st_size - at) : 0;
  if (have > len) have = len;
  head[1] = (int64_t)have;
  char *record = malloc(sizeof head + have);
  memcpy(record, head, sizeof head);
  if (have) { /* the file may be open for writing only */
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int in = open(link, O_RDONLY);
    if (in < 0 || pread(in, record + sizeof head, have, at) != (ssize_t)have) abort();
    close(in);
  }
  int out = open(undo, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (out < 0 || real_write(out, record, sizeof head + have) < 0) abort();
  close(out);
  free(record);
}

static void forget(const char *undo) {
  int out = open(undo, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out >= 0) close(out);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) {
  char undo[4096];
  if (!tracked(fd, undo)) return real_pwrite(fd, data, len, at);
  if (full()) { errno = ENOSPC; return -1; }
  pthread_mutex_lock(&lock);
  remember(fd, undo, at, len);
  ssize_t done = real_pwrite(fd, data, len, at);
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return pwrite64(fd, data, len, at); }

ssize_t write(int fd, const void *data, size_t len) {
  char undo[4096];
  if (!tracked(fd, undo)) return real_write(fd, data, len);
  if (full()) { errno = ENOSPC; return -1; }
  pthread_mutex_lock(&lock);
  struct stat s;
  int appends = fcntl(fd, F_GETFL) & O_APPEND;
  remember(fd, undo, appends && !fstat(fd, &s) ? s.st_size : lseek(fd, 0, SEEK_CUR), len);
  ssize_t done = real_write(fd, data, len);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate64(int fd, off_t size) {
  char undo[4096];
  if (!tracked(fd, undo)) return real_ftruncate(fd, size);
  pthread_mutex_lock(&lock);
  struct stat s;
  if (!fstat(fd, &s)) remember(fd, undo, size, s.st_size > size ? (size_t)(s.st_size - size) : 0);
  int done = real_ftruncate(fd, size);
  pthread_mutex_unlock(&lock);
  return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

static int synced(int fd, int (*real)(int)) {
  char undo[4096];
  if (!tracked(fd, undo)) return real(fd);
  pthread_mutex_lock(&lock);
  int done = real(fd);
  if (!done) forget(undo);
  pthread_mutex_unlock(&lock);
  return done;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }
