/* Makes a table, fills it and asks for a sum: SQLite out of its static archive,
 * with an answer that can be checked. */
#include <sqlite3.h>
#include <stdio.h>

static int show(void *unused, int columns, char **values, char **names) {
  (void)unused;
  (void)names;
  for (int i = 0; i < columns; i++)
    puts(values[i] ? values[i] : "null");
  return 0;
}

int main(void) {
  sqlite3 *base;
  char *error = NULL;
  if (sqlite3_open(":memory:", &base) != SQLITE_OK)
    return 1;
  if (sqlite3_exec(base,
                   "create table t(a integer, b text);"
                   "insert into t values (1, 'one'), (20, 'two'), (300, 'three');"
                   "select sum(a) from t where b like 't%';",
                   show, NULL, &error) != SQLITE_OK) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }
  return sqlite3_close(base) != SQLITE_OK;
}
