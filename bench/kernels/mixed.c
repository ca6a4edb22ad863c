/*
 * Two programs in the manner of well-known ones, written anew: `workload` mixes lists, small matrices, a state machine
 * and a checksum, as CoreMark does; `records` assigns records, compares strings and calls procedures, as Dhrystone does.
 */
#include "checksum.h"

#define APART __attribute__((noinline))

/* CRC-16 with the reversed polynomial 0xa001, bit by bit. */
APART static u16 addToCrc(u16 crc, u16 value) {
  for (int i = 0; i < 16; i++, value >>= 1) crc = (crc ^ value) & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  return crc;
}

struct node { struct node *rest; short key, rank; };
static struct node nodes[60];

static int byKey(const struct node *a, const struct node *b) { return a->key - b->key; }
static int byRank(const struct node *a, const struct node *b) { return a->rank - b->rank; }

APART static struct node *reversed(struct node *list) {
  struct node *done = 0;
  while (list) {
    struct node *rest = list->rest;
    list->rest = done, done = list, list = rest;
  }
  return done;
}

APART static struct node *found(struct node *list, int key) {
  while (list && list->key != key) list = list->rest;
  return list;
}

/* Bottom-up merge sort: runs of 1, 2, 4 … are merged until one is left. */
APART static struct node *sorted(struct node *list, int (*order)(const struct node *, const struct node *)) {
  for (int run = 1;; run *= 2) {
    struct node *left = list, *last = 0;
    int merges = 0;
    list = 0;
    while (left) {
      struct node *right = left;
      int leftCount = 0, rightCount = run;
      merges++;
      while (leftCount < run && right) leftCount++, right = right->rest;
      while (leftCount > 0 || (rightCount > 0 && right)) {
        struct node *one;
        if (leftCount > 0 && !(rightCount > 0 && right && order(right, left) < 0)) one = left, left = left->rest, leftCount--;
        else one = right, right = right->rest, rightCount--;
        if (last) last->rest = one;
        else list = one;
        last = one;
      }
      left = right;
    }
    if (last) last->rest = 0;
    if (merges <= 1) return list;
  }
}

APART static u16 lists(u16 seed) {
  const int count = sizeof nodes / sizeof *nodes;
  for (int i = 0; i < count; i++) {
    nodes[i].rest = i + 1 < count ? &nodes[i + 1] : 0;
    nodes[i].key = (seed * 31 + i * 77) & 0x1ff, nodes[i].rank = i;
  }
  struct node *list = nodes;
  u16 crc = seed;
  for (int i = 0; i < 40; i++) {
    struct node *hit = found(list, (seed + i * 13) & 0x1ff);
    crc = addToCrc(crc, hit ? hit->rank : 0xffff);
    list = reversed(list);
  }
  list = sorted(list, byKey);
  for (struct node *at = list; at; at = at->rest) crc += at->key;
  list = sorted(list, byRank);
  return addToCrc(crc, list->key);
}

#define SIDE 10
static short left[SIDE][SIDE], right[SIDE][SIDE];
static int product[SIDE][SIDE];

APART static u16 matrices(u16 seed) {
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) left[i][j] = (short)(seed + i * 7 - j), right[i][j] = (short)(seed ^ (i * j + 3));
  u16 crc = 0;
  for (int i = 0; i < SIDE; i++) {
    int sum = 0;
    for (int j = 0; j < SIDE; j++) left[i][j] += seed, sum += left[i][j] * right[j][0];
    crc = addToCrc(crc, (u16)sum);
  }
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      int sum = 0;
      for (int k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
      product[i][j] = (sum >> 2 & 15) * (sum >> 5 & 127);
    }
  for (int i = 0; i < SIDE; i++) crc = addToCrc(crc, (u16)product[i][SIDE - 1 - i]);
  return crc;
}

/* Which kind of number each field of a line is, decided a character at a time. */
enum form { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, WRONG, FORMS };
static const char line[] = "5012,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-87e+832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,";

APART static u16 fields(u16 seed) {
  u32 finals[FORMS] = { 0 }, moves[FORMS] = { 0 };
  enum form form = START;
  for (const char *at = line; *at; at++) {
    char c = (at - line) % 13 == seed % 13 && *at != ',' ? *at ^ (seed >> 8 & 3) : *at;
    enum form before = form;
    int isDigit = c >= '0' && c <= '9';
    if (c == ',') {
      finals[form]++, form = START;
      continue;
    }
    switch (form) {
      case START: form = isDigit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : WRONG; break;
      case SIGN: form = isDigit ? INTEGER : c == '.' ? POINT : WRONG; break;
      case INTEGER: form = isDigit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : WRONG; break;
      case POINT: form = isDigit ? FRACTION : WRONG; break;
      case FRACTION: form = isDigit ? FRACTION : c == 'e' ? EXPONENT : WRONG; break;
      case EXPONENT: form = isDigit ? SCIENTIFIC : c == '+' || c == '-' ? EXPONENT_SIGN : WRONG; break;
      case EXPONENT_SIGN: form = isDigit ? SCIENTIFIC : WRONG; break;
      case SCIENTIFIC: form = isDigit ? SCIENTIFIC : WRONG; break;
      default: break;
    }
    if (form != before) moves[before]++;
  }
  u16 crc = seed;
  for (int i = 0; i < FORMS; i++) crc = addToCrc(addToCrc(crc, (u16)finals[i]), (u16)moves[i]);
  return crc;
}

u64 workload(void) {
  u16 crc = 1;
  for (int round = 0; round < 28000; round++) {
    crc = addToCrc(crc, lists(crc));
    crc = addToCrc(crc, matrices((u16)(crc + round)));
    crc = addToCrc(crc, fields(crc));
  }
  return crc;
}

enum grade { POOR, FAIR, GOOD, FINE, BEST };
struct record {
  struct record *partner;
  enum grade grade;
  int amount, count;
  char title[32];
};
static struct record stock[2];
static int totals[50], grid[50][50], balance;
static char initial;

APART static int comesBefore(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a < (u8)*b;
}

APART static void copyText(char *to, const char *from) {
  while ((*to++ = *from++)) {}
}

APART static enum grade graded(enum grade old, int amount) {
  switch (old) {
    case POOR: return amount > 40 ? GOOD : FAIR;
    case FAIR: return amount & 1 ? POOR : FINE;
    case GOOD: return BEST;
    case FINE: return amount > 100 ? FAIR : GOOD;
    default: return POOR;
  }
}

APART static void settle(struct record *one) {
  struct record *other = one->partner;
  *other = *one;
  other->partner = one;
  other->amount = one->amount + 5;
  other->grade = graded(one->grade, other->amount);
  if (other->grade == BEST) other->count = balance++;
  else copyText(other->title, one->title);
}

APART static void post(int *column, int rows[][50], int at, int value) {
  int place = at + 5;
  column[place] = value, column[place + 1] = column[place], column[(place + 30) & 31] = place;
  for (int i = place; i <= place + 1; i++) rows[place][i] = place;
  rows[place][place - 1]++;
  rows[(place + 20) & 31][place] = column[place];
  balance = 5;
}

APART static int matches(const char *a, const char *b, int depth) {
  if (depth == 0) return a[0] == b[0];
  initial = a[depth & 7];
  return matches(a, b, depth - 1) ? initial == b[depth & 7] : comesBefore(b, a);
}

u64 records(void) {
  u64 sum = 0;
  char text[32];
  stock[0].partner = &stock[1], stock[1].partner = &stock[0];
  stock[0].grade = FINE, stock[0].amount = 40;
  copyText(stock[0].title, "AN ENTRY OF THE LEDGER, NO. 1");
  for (int round = 1; round <= 7000000; round++) {
    copyText(text, round & 1 ? "AN ENTRY OF THE LEDGER, NO. 2" : "AN ENTRY OF THE LEDGER, NO. 3");
    int first = 2, second = 3, third = 0;
    if (comesBefore(stock[0].title, text)) third = first * 5 - second;
    post(totals, grid, first + (round & 7), third);
    stock[0].amount = round & 127;
    settle(&stock[round & 1]);
    if (matches(text, stock[1].title, 3)) second = round / (third + 1);
    first = 7 * (second - third) - first;
    sum += (u64)first + (u64)stock[1].grade + (u64)totals[9];
  }
  return sum ^ (u64)balance ^ (u64)grid[12][12];
}
