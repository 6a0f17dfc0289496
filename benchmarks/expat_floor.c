/* The floor of reading CityGML: expat with element and text handlers, every gml:posList and gml:pos
 * parsed to doubles, nothing kept. Prints: bytes seconds buildings doubles.
 * gcc -O3 expat_floor.c -lexpat -o expat_floor && ./expat_floor FILE */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double TENTHS[19] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
static char *text;
static size_t used, room;
static int wanted;
static long buildings, doubles;
static volatile double sum; /* so that no parse is optimised away */

static int ends_with(const char *name, const char *local) {
  const char *colon = strchr(name, ':');
  return !strcmp(colon ? colon + 1 : name, local);
}

static void XMLCALL start(void *user, const char *name, const char **attributes) {
  (void)user;
  (void)attributes;
  if (ends_with(name, "posList") || ends_with(name, "pos")) {
    wanted = 1;
    used = 0;
  } else if (ends_with(name, "Building")) {
    buildings++;
  }
}

static void XMLCALL data(void *user, const char *s, int n) {
  (void)user;
  if (!wanted) return;
  if (used + (size_t)n + 1 > room) {
    room = 2 * (used + (size_t)n + 1);
    text = realloc(text, room);
    if (!text) exit(1);
  }
  memcpy(text + used, s, (size_t)n);
  used += (size_t)n;
}

static void parse(void) {
  const char *p = text, *end = text + used;
  double total = 0;
  while (p < end) {
    while (p < end && *p <= ' ') p++;
    if (p == end) break;
    int negative = *p == '-', digits = 0, decimals = 0, after = 0;
    if (negative || *p == '+') p++;
    unsigned long long value = 0;
    for (; p < end && *p > ' '; p++) {
      if (*p == '.') {
        after = 1;
      } else if (digits < 18) {
        value = value * 10 + (unsigned long long)(*p - '0');
        digits++;
        decimals += after;
      }
    }
    double x = (double)value / TENTHS[decimals];
    total += negative ? -x : x;
    doubles++;
  }
  sum += total;
}

static void XMLCALL stop(void *user, const char *name) {
  (void)user;
  (void)name;
  if (!wanted) return;
  wanted = 0;
  if (used) parse();
}

int main(int argc, char **argv) {
  FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return 2;
  XML_Parser parser = XML_ParserCreate(NULL);
  XML_SetElementHandler(parser, start, stop);
  XML_SetCharacterDataHandler(parser, data);
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  long bytes = 0;
  for (;;) {
    void *block = XML_GetBuffer(parser, 1 << 18);
    size_t n = fread(block, 1, 1 << 18, file);
    bytes += (long)n;
    if (!XML_ParseBuffer(parser, (int)n, n == 0)) return 1;
    if (!n) break;
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  printf("%ld %.6f %ld %ld\n", bytes, (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec),
         buildings, doubles);
  return 0;
}
