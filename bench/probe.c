/* The measuring end of the bench: a process so small that it does not colour
 * what it measures (a child begins with the peak resident size of its parent's
 * image, so a linker started by a Python process would never show less than
 * Python's own 10 MB), and the bare operations that no linker can avoid.
 *
 *   probe run FD PROGRAM ARG...   run, wait, write one JSON line to descriptor FD
 *   probe touch LIST              map each file named in LIST, read every page
 *   probe fill FILE BYTES         write BYTES through a fresh mapping of FILE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int fail(const char *what) {
  fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
  return 1;
}

/* Busy seconds of all processors since boot, from the first line of
 * /proc/stat: user nice system idle iowait irq softirq steal. What it grows by
 * beyond the child's own time is the work of strangers during the run. */
static double busy_seconds(void) {
  unsigned long long t[8] = {0};
  FILE *stat = fopen("/proc/stat", "r");
  if (!stat)
    return 0;
  if (fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1],
             &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) != 8)
    memset(t, 0, sizeof t);
  fclose(stat);
  return (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]) /
         (double)sysconf(_SC_CLK_TCK);
}

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static int run(int fd, char **arguments) {
  struct rusage use;
  pid_t child;
  int status;
  double busy = busy_seconds(), start = clock_seconds(), wall;

  errno = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);
  if (errno)
    return fail(arguments[0]);
  while (wait4(child, &status, 0, &use) < 0)
    if (errno != EINTR)
      return fail("wait4");
  wall = clock_seconds() - start;
  busy = busy_seconds() - busy;
  dprintf(fd,
          "{\"status\": %d, \"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, "
          "\"peak\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld, "
          "\"waits\": %ld, \"preempted\": %ld, \"busy\": %.2f}\n",
          WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), wall,
          seconds(use.ru_utime), seconds(use.ru_stime), use.ru_maxrss * 1024,
          use.ru_minflt, use.ru_majflt, use.ru_nvcsw, use.ru_nivcsw, busy);
  return 0;
}

static int touch(const char *list) {
  char path[4096];
  volatile unsigned sum = 0;
  FILE *names = fopen(list, "r");
  if (!names)
    return fail(list);
  while (fgets(path, sizeof path, names)) {
    struct stat st;
    path[strcspn(path, "\n")] = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0)
      return fail(path);
    if (st.st_size > 0) {
      unsigned char *p =
          mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
      if (p == MAP_FAILED)
        return fail(path);
      for (off_t at = 0; at < st.st_size; at += 4096)
        sum += p[at];
    }
    close(fd);
  }
  fclose(names);
  return 0;
}

static int fill(const char *path, size_t size) {
  int fd = open(path, O_RDWR | O_CREAT, 0777);
  if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
    return fail(path);
  unsigned char *p =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED)
    return fail(path);
  for (size_t at = 0; at < size; at += 4096)
    memset(p + at, (int)(at >> 12) & 255, size - at < 4096 ? size - at : 4096);
  if (munmap(p, size) < 0 || close(fd) < 0)
    return fail(path);
  return 0;
}

int main(int argc, char **argv) {
  if (argc >= 4 && !strcmp(argv[1], "run"))
    return run(atoi(argv[2]), argv + 3);
  if (argc == 3 && !strcmp(argv[1], "touch"))
    return touch(argv[2]);
  if (argc == 4 && !strcmp(argv[1], "fill"))
    return fill(argv[2], (size_t)strtoull(argv[3], NULL, 10));
  fprintf(stderr, "usage: probe run FD PROGRAM ARG... | touch LIST | "
                  "fill FILE BYTES\n");
  return 2;
}
