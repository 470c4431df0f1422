// Goal: every statement of the dialect is parsed into what it says, and a wrong one fails at its
// place. Method: parse texts as users write them and compare fields; mutate texts at random,
// nothing may crash.
#include "sql/statement.h"

#include <doctest/doctest.h>

#include <random>

#include "base/error.h"

namespace millrace {

namespace {

template <typename Body>
Body Parse(const std::string& text) {
  CAPTURE(text);
  Statement statement = ParseStatement({text, {}, true});
  REQUIRE(std::holds_alternative<Body>(statement.body));
  return std::get<Body>(statement.body);
}

std::string ErrorOf(const std::string& text) {
  CAPTURE(text);
  try {
    ParseStatement({text, {}, true});
  } catch (const Error& error) {
    return error.text();
  }
  FAIL("must not parse");
  return "";
}

bool Contains(const std::string& text, const std::string& part) {
  INFO(text, " | ", part);
  bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("CREATE CATALOG and CREATE DATABASE") {
  auto catalog = Parse<CreateCatalog>(
      "CREATE CATALOG IF NOT EXISTS lake WITH ('type' = 'paimon', 'warehouse'='/tmp/w');");
  CHECK(catalog.name == "lake");
  CHECK(catalog.if_not_exists);
  CHECK(catalog.options == Options{{"type", "paimon"}, {"warehouse", "/tmp/w"}});

  auto database =
      Parse<CreateDatabase>("create database lake.`my db` comment 'it''s' with ('a'='b')");
  CHECK(database.name == QualifiedName{"lake", "my db"});
  CHECK(database.comment == "it's");
  CHECK(database.options == Options{{"a", "b"}});
  CHECK(!database.if_not_exists);
}

TEST_CASE("CREATE TABLE with everything") {
  auto create = Parse<CreateTable>(R"(
CREATE TEMPORARY TABLE IF NOT EXISTS c.d.t (
  id BIGINT NOT NULL COMMENT 'key',
  `order` STRING,
  amount DECIMAL(18, 2),
  nested ROW<a INT, b ARRAY<MAP<STRING, DECIMAL>>>,
  ts TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL,
  `offset` BIGINT METADATA,
  total AS amount * CAST(2 AS INT) COMMENT 'twice',
  local TIMESTAMP(3) WITH LOCAL TIME ZONE,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  CONSTRAINT pk PRIMARY KEY (id, `order`) NOT ENFORCED
) COMMENT 'a table'
PARTITIONED BY (`order`)
WITH ('connector' = 'datagen', 'rows' = '1'))");
  CHECK(create.name == QualifiedName{"c", "d", "t"});
  CHECK(create.if_not_exists);
  const TableDefinition& table = create.definition;
  CHECK(table.temporary);
  CHECK(table.path.name == "t");
  REQUIRE(table.columns.size() == 8);
  CHECK(table.columns[0].type == ParseDataType("BIGINT NOT NULL"));
  CHECK(table.columns[0].comment == "key");
  CHECK(table.columns[1].name == "order");
  CHECK(table.columns[1].type == ParseDataType("STRING NOT NULL"));  // A key column.
  CHECK(table.columns[2].type == ParseDataType("DECIMAL(18,2)"));
  CHECK(table.columns[3].type == ParseDataType("ROW<a INT, b ARRAY<MAP<STRING, DECIMAL(10, 0)>>>"));
  CHECK(table.columns[4].metadata == "timestamp");
  CHECK(table.columns[5].metadata == "offset");
  CHECK(table.columns[6].computed == "amount * CAST(to_integral(2) AS INTEGER)");
  CHECK(table.columns[6].computed_text == "amount * CAST(2 AS INT)");
  CHECK(table.columns[6].comment == "twice");
  CHECK(table.columns[7].type == ParseDataType("TIMESTAMP_LTZ(3)"));
  REQUIRE(table.watermark);
  CHECK(table.watermark->column == "ts");
  CHECK(table.watermark->expression == "ts - INTERVAL '5 seconds'");
  CHECK(table.watermark->text == "ts - INTERVAL '5' SECOND");
  CHECK(table.primary_key == std::vector<std::string>{"id", "order"});
  CHECK(table.partition_keys == std::vector<std::string>{"order"});
  CHECK(table.comment == "a table");
  CHECK(table.options.at("connector") == "datagen");
}

TEST_CASE("CREATE TABLE: key on a column, LIKE, AS SELECT") {
  auto create = Parse<CreateTable>(
      "CREATE TABLE t (id INT PRIMARY KEY NOT ENFORCED, v INT) WITH ('bucket'='2')");
  CHECK(create.definition.primary_key == std::vector<std::string>{"id"});
  CHECK(!create.definition.columns[0].type.nullable);
  CHECK(create.definition.columns[1].type.nullable);

  auto like = Parse<CreateTable>("CREATE TABLE t WITH ('k'='v') LIKE db.s (INCLUDING ALL)");
  CHECK(like.like == QualifiedName{"db", "s"});
  CHECK(like.definition.options.size() == 1);

  auto as = Parse<CreateTable>("CREATE TABLE t WITH ('k'='v') AS SELECT `a` FROM s");
  REQUIRE(as.as_query);
  CHECK(as.as_query->duck_sql == "SELECT \"a\" FROM s");
}

TEST_CASE("CREATE VIEW") {
  auto view = Parse<CreateView>(
      "CREATE OR REPLACE TEMPORARY VIEW v (a, `b` COMMENT 'x') AS\n SELECT `x`, 1 FROM t;");
  CHECK(view.or_replace);
  CHECK(view.temporary);
  CHECK(view.columns == std::vector<std::string>{"a", "b"});
  CHECK(view.query.duck_sql == "SELECT \"x\", 1 FROM t");
  CHECK(view.original == "SELECT `x`, 1 FROM t");
  CHECK(Parse<CreateView>("CREATE VIEW IF NOT EXISTS v AS VALUES (1)").if_not_exists);
}

TEST_CASE("DROP") {
  auto drop = Parse<Drop>("DROP TABLE IF EXISTS a.b.c");
  CHECK(drop.kind == ObjectKind::kTable);
  CHECK(drop.if_exists);
  CHECK(drop.name == QualifiedName{"a", "b", "c"});
  CHECK(Parse<Drop>("DROP DATABASE d CASCADE").cascade);
  CHECK(Parse<Drop>("DROP TEMPORARY VIEW v").temporary);
  CHECK(Parse<Drop>("DROP CATALOG c").kind == ObjectKind::kCatalog);
}

TEST_CASE("USE, SHOW, DESCRIBE") {
  CHECK(Parse<Use>("USE CATALOG lake").catalog);
  CHECK(Parse<Use>("USE lake.db").name == QualifiedName{"lake", "db"});
  CHECK(Parse<Show>("SHOW CATALOGS").what == ShowWhat::kCatalogs);
  CHECK(Parse<Show>("SHOW DATABASES").what == ShowWhat::kDatabases);
  auto tables = Parse<Show>("SHOW TABLES FROM db LIKE 'a%'");
  CHECK(tables.what == ShowWhat::kTables);
  CHECK(tables.name == QualifiedName{"db"});
  CHECK(tables.like == "a%");
  CHECK(Parse<Show>("SHOW VIEWS").what == ShowWhat::kViews);
  CHECK(Parse<Show>("SHOW FUNCTIONS").what == ShowWhat::kFunctions);
  CHECK(Parse<Show>("SHOW JOBS").what == ShowWhat::kJobs);
  CHECK(Parse<Show>("SHOW CURRENT CATALOG").what == ShowWhat::kCurrentCatalog);
  CHECK(Parse<Show>("SHOW CURRENT DATABASE").what == ShowWhat::kCurrentDatabase);
  CHECK(Parse<Show>("SHOW CREATE TABLE a.b").name == QualifiedName{"a", "b"});
  CHECK(Parse<Show>("SHOW CREATE VIEW v").what == ShowWhat::kCreateView);
  CHECK(Parse<Describe>("DESC EXTENDED t").name == QualifiedName{"t"});
  CHECK(Parse<Describe>("DESCRIBE a.t").name == QualifiedName{"a", "t"});
  CHECK(Parse<Describe>("SHOW COLUMNS FROM t").name == QualifiedName{"t"});
}

TEST_CASE("INSERT") {
  auto insert = Parse<Insert>(
      "INSERT INTO a.t /*+ OPTIONS('sink.parallelism'='2') */ PARTITION (dt = '2024-01-01', n = 1) "
      "(x, `y`) SELECT 1, `z` FROM s");
  CHECK(insert.target == QualifiedName{"a", "t"});
  CHECK(insert.hint == Options{{"sink.parallelism", "2"}});
  CHECK(insert.static_partition.at("dt") == "'2024-01-01'");
  CHECK(insert.static_partition.at("n") == "1");
  CHECK(insert.columns == std::vector<std::string>{"x", "y"});
  CHECK(insert.query.duck_sql == "SELECT 1, \"z\" FROM s");
  CHECK(insert.original.substr(0, 13) == "INSERT INTO a");
  CHECK(!insert.overwrite);
  CHECK(Parse<Insert>("INSERT OVERWRITE t SELECT 1").overwrite);
  CHECK(Parse<Insert>("INSERT INTO t VALUES (1, 'a'), ROW(2, 'b')").query.duck_sql ==
        "VALUES (1, 'a'), (2, 'b')");
  CHECK(Parse<Insert>("INSERT INTO t (SELECT 1)").columns.empty());
}

TEST_CASE("Statement sets") {
  auto set = Parse<StatementSet>(
      "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN x = ';' THEN 1 END FROM s;\n"
      "INSERT INTO b SELECT 2; END;");
  REQUIRE(set.inserts.size() == 2);
  CHECK(set.inserts[0].query.duck_sql == "SELECT CASE WHEN x = ';' THEN 1 END FROM s");
  CHECK(set.inserts[1].target == QualifiedName{"b"});
  CHECK(set.inserts[1].original == "INSERT INTO b SELECT 2");
  CHECK(Parse<StatementSet>("BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END;").inserts.size() ==
        1);
}

TEST_CASE("EXPLAIN, SET, RESET, STOP JOB, queries, statements for DuckDB") {
  CHECK(Parse<Explain>("EXPLAIN PLAN FOR SELECT 1").kind == "PLAN FOR");
  CHECK(Parse<Explain>("EXPLAIN ESTIMATED_COST, CHANGELOG_MODE INSERT INTO t SELECT 1")
            .inserts.size() == 1);
  CHECK(Parse<Explain>(
            "EXPLAIN STATEMENT SET BEGIN INSERT INTO t SELECT 1; INSERT INTO u SELECT 2; END")
            .inserts.size() == 2);
  CHECK(Parse<Explain>("EXPLAIN ANALYZE SELECT 1").query->duck_sql == "SELECT 1");
  CHECK(Parse<Explain>("EXPLAIN ANALYZE JOB 'a b'").job == "a b");
  CHECK(!Parse<Set>("SET").key);
  CHECK(Parse<Set>("SET 'a.b' = 'c''d'").value == "c'd");
  CHECK(Parse<Set>("SET execution.runtime-mode = streaming;").key == "execution.runtime-mode");
  CHECK(Parse<Set>("SET execution.runtime-mode=streaming").value == "streaming");
  CHECK(Parse<Set>("SET pipeline.name = 'x'").value == "x");
  CHECK(Parse<Set>("SET execution.checkpointing.interval = 10 s").value == "10 s");
  CHECK_THROWS_WITH_AS(ParseStatement({"SET 'a' =", {}, true}),
                       doctest::Contains("expected a value"), Error);
  CHECK(!Parse<Reset>("RESET").key);
  CHECK(Parse<Reset>("RESET 'a.b'").key == "a.b");
  CHECK(Parse<Reset>("RESET a.b-c").key == "a.b-c");
  CHECK(Parse<StopJob>("STOP JOB 'abc' WITH SAVEPOINT").job == "abc");
  CHECK(Parse<Query>("WITH q AS (SELECT 1) SELECT * FROM q").query.duck_sql ==
        "WITH q AS (SELECT 1) SELECT * FROM q");
  CHECK(Parse<Query>("(SELECT 1) UNION ALL (SELECT 2)").query.duck_sql ==
        "(SELECT 1) UNION ALL (SELECT 2)");
  CHECK(Parse<Query>("VALUES (1)").query.duck_sql == "VALUES (1)");
}

TEST_CASE("SplitScript cuts where a statement ends and nowhere else") {
  auto parts = SplitScript(
      "SELECT ';' -- a;b\n, `x;`; /* ; */\n\n  SET 'a' = 'b';\n"
      "EXECUTE STATEMENT SET\nBEGIN\nINSERT INTO a SELECT CASE WHEN 1=1 THEN 2 END;\nINSERT INTO b "
      "SELECT 2;\nEND;\n"
      "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END; BEGIN; ;SELECT 2");
  REQUIRE(parts.size() == 6);
  CHECK(parts[0].text == "SELECT ';' -- a;b\n, `x;`");
  CHECK(parts[1].text == "SET 'a' = 'b'");
  CHECK(parts[1].position.line == 4);
  CHECK(parts[1].position.column == 3);
  CHECK(parts[2].text.substr(0, 7) == "EXECUTE");
  CHECK(parts[2].text.substr(parts[2].text.size() - 3) == "END");
  CHECK(parts[3].text == "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END");
  CHECK(parts[4].text == "BEGIN");
  CHECK(parts[5].text == "SELECT 2");
  CHECK(!parts[5].complete);
  CHECK(parts[4].complete);
  CHECK(SplitScript(" -- nothing\n ; ;").empty());
  CHECK(!SplitScript("SELECT 'open; ").front().complete);
  CHECK(!SplitScript("EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;").front().complete);
}

TEST_CASE("An error names line, column, text and what was expected") {
  Contains(ErrorOf("SELCT 1"), "line 1, column 1, near 'SELCT'");
  Contains(ErrorOf("SELCT 1"), "did you mean 'SELECT'?");
  Contains(ErrorOf("CREATE TABLE t (\n  a INT,\n  b INTT\n)"), "line 3, column 5, near 'INTT'");
  Contains(ErrorOf("CREATE TABLE t (a INT PRIMARY KEY)"), "expected NOT ENFORCED");
  Contains(ErrorOf("CREATE TABLE t (a INT, a INT)"), "line 1, column 24");
  Contains(ErrorOf("CREATE TABLE t (a INT) WIHT ('a'='b')"), "did you mean 'WITH'?");
  Contains(ErrorOf("CREATE TABLE t (a INT) WITH ('a'='b', 'a'='c')"), "given twice");
  Contains(ErrorOf("DROP INDEX i"), "expected CATALOG, DATABASE, TABLE or VIEW");
  Contains(ErrorOf("PRAGMA database_list"), "SET 'table.sql-dialect' = 'duckdb'");
  Contains(ErrorOf("COPY t TO 'x'"), "SET 'table.sql-dialect' = 'duckdb'");
  Contains(ErrorOf("ATTACH 'x' AS y"), "SET 'table.sql-dialect' = 'duckdb'");
  Contains(ErrorOf("CREATE MACRO f(x) AS x"), "SET 'table.sql-dialect' = 'duckdb'");
  Contains(ErrorOf("SHOW TABELS"), "did you mean 'TABLES'?");
  Contains(ErrorOf("SELECT 'abc"), "string literal is never closed");
  Contains(ErrorOf("SELECT (1"), "line 1, column 8, near '('");
  Contains(ErrorOf("INSERT INTO t SELECT 1; SELECT 2"), "line 1, column 23");
  Contains(ErrorOf("USE CATALOG"), "near 'end of statement': expected the name of a catalog");
  Contains(ErrorOf("SELECT CAST(1 AS)"), "expected a type");
  Contains(ErrorOf("SELECT INTERVAL '1-13' YEAR TO MONTH"), "'1-2'");
  Contains(ErrorOf("SELECT * FROM t /*+ OPTIONS('a') */"), "line 1, column 32");
  try {
    ParseStatement({"USE CATALOG", {7, 3}, true});
    FAIL("must not parse");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kSyntax);
    Contains(error.text(), "line 7, column 14");
  }
}

namespace {

std::string Mutated(const std::vector<std::string>& seeds, std::mt19937& random) {
  auto below = [&](size_t n) { return static_cast<size_t>(random() % std::max<size_t>(n, 1)); };
  std::string text = seeds[below(seeds.size())];
  static const std::string kBits[] = {"'",          "`",
                                      "\"",         "(",
                                      ")",          "<",
                                      ">",          "/*+",
                                      "*/",         "--",
                                      "\n",         ";",
                                      ",",          "[",
                                      "]",          " AS ",
                                      " CAST(",     " ROW<",
                                      "INTERVAL '", "\xC3\xA9",
                                      "\xFF",       "U&'\\00",
                                      "X'",         "END",
                                      "CASE",       " FOR SYSTEM_TIME AS OF ",
                                      "MAP[",       ".",
                                      "$$",         "JSON_VALUE("};
  for (size_t count = 1 + below(6); count > 0; count--) {
    size_t at = below(text.size() + 1);
    switch (below(4)) {
      case 0:
        text.insert(at, kBits[below(std::size(kBits))]);
        break;
      case 1:
        text.erase(at, 1 + below(10));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size() + 1), below(30)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(random() % 256);
    }
  }
  return text;
}

}  // namespace

TEST_CASE("What is asked of jobs") {
  CHECK(Parse<CheckView>("CHECK VIEW a.`b c`").name == QualifiedName{"a", "b c"});
  CHECK_THROWS_AS(Parse<CheckView>("CHECK TABLE a"), Error);
  CHECK_THROWS_AS(Parse<CheckView>("CHECK VIEW a b"), Error);
  Show checkpoints = Parse<Show>("SHOW CHECKPOINTS OF JOB 'x'");
  CHECK(checkpoints.what == ShowWhat::kCheckpoints);
  CHECK(checkpoints.name == QualifiedName{"x"});
  CHECK_THROWS_AS(Parse<Show>("SHOW CHECKPOINTS"), Error);
  CHECK_THROWS_AS(Parse<Explain>("EXPLAIN JOB 'x'"), Error);
  CHECK_THROWS_AS(Parse<Explain>("EXPLAIN ANALYZE JOB x"), Error);
}

TEST_CASE("VERIFY and ANALYZE") {
  CHECK(Parse<Verify>("VERIFY TABLE lake.d.t").name == QualifiedName{"lake", "d", "t"});
  CHECK(!Parse<Verify>("VERIFY TABLE t").full);
  CHECK(Parse<Verify>("verify table t full;").full);
  CHECK(Contains(ErrorOf("VERIFY t"), "expected TABLE"));
  CHECK(Contains(ErrorOf("VERIFY TABLE t FULLY"), "FULLY"));

  CHECK(Parse<Analyze>("ANALYZE TABLE t COMPUTE STATISTICS").columns.empty());
  CHECK(Parse<Analyze>("ANALYZE TABLE t COMPUTE STATISTICS FOR ALL COLUMNS").all_columns);
  auto analyze = Parse<Analyze>("ANALYZE TABLE t COMPUTE STATISTICS FOR COLUMNS a, `b c`");
  CHECK(analyze.columns == std::vector<std::string>{"a", "b c"});
  CHECK(!analyze.all_columns);
  CHECK(Contains(ErrorOf("ANALYZE TABLE t"), "COMPUTE STATISTICS"));
  CHECK(Contains(ErrorOf("ANALYZE TABLE t PARTITION (a = 1) COMPUTE STATISTICS"), "PARTITION"));
}

TEST_CASE("CALL takes arguments by position and by name") {
  auto call = Parse<Call>("CALL sys.create_tag('d.t', `tag` => 'a, (b', snapshot_id => 1 + (2))");
  CHECK(call.procedure == QualifiedName{"sys", "create_tag"});
  REQUIRE(call.arguments.size() == 3);
  CHECK(call.arguments[0].name.empty());
  CHECK(call.arguments[0].duck_sql == "'d.t'");
  CHECK(call.arguments[1].name == "tag");
  CHECK(call.arguments[1].duck_sql == "'a, (b'");
  CHECK(call.arguments[2].name == "snapshot_id");
  CHECK(call.arguments[2].duck_sql == "1 + (2)");
  CHECK(Parse<Call>("CALL lake.sys.expire_snapshots()").arguments.empty());
  CHECK(Contains(ErrorOf("CALL sys.compact"), "after the procedure"));
  CHECK(Contains(ErrorOf("CALL sys.compact('t', )"), "value of an argument"));
  CHECK(Contains(ErrorOf("CALL sys.compact(`table` => )"), "value of an argument"));
  CHECK(Contains(ErrorOf("CALL sys.compact('t') x"), "after CALL"));
}

TEST_CASE("ALTER TABLE ... TAG") {
  using Action = AlterTag::Action;
  auto tag = Parse<AlterTag>(
      "ALTER TABLE d.t CREATE TAG IF NOT EXISTS `2024-01-01` AS OF VERSION 12 RETAIN 7 DAYS");
  CHECK(tag.table == QualifiedName{"d", "t"});
  CHECK(tag.action == Action::kCreate);
  CHECK(tag.lenient);
  CHECK(tag.tag == "2024-01-01");
  CHECK(tag.snapshot_id == 12);
  CHECK(tag.retained_ms == 7 * 86'400'000LL);

  CHECK(Parse<AlterTag>("ALTER TABLE t CREATE OR REPLACE TAG a RETAIN 5 MINUTES").retained_ms ==
        300'000);
  CHECK(Parse<AlterTag>("ALTER TABLE t CREATE TAG '2024-01-01'").tag == "2024-01-01");
  CHECK(Parse<AlterTag>("ALTER TABLE t REPLACE TAG a AS OF VERSION 3").action == Action::kReplace);
  auto renamed = Parse<AlterTag>("ALTER TABLE t RENAME TAG a TO b");
  CHECK(renamed.action == Action::kRename);
  CHECK(renamed.new_name == "b");
  auto deleted = Parse<AlterTag>("ALTER TABLE t DELETE TAG IF EXISTS a");
  CHECK(deleted.action == Action::kDelete);
  CHECK(deleted.lenient);
  CHECK(Contains(ErrorOf("ALTER TABLE t CREATE TAG a RETAIN 5"), "DAYS, HOURS or MINUTES"));
  CHECK(Contains(ErrorOf("ALTER TABLE t CREATE TAG a AS OF VERSION b"), "id of a snapshot"));
  CHECK(Contains(ErrorOf("ALTER TABLE t DELETE TAG a AS OF VERSION 3"), "after the tag"));
}

TEST_CASE("Mutated statements parse or fail with an Error, never otherwise") {
  const std::vector<std::string> seeds = {
      "CREATE TABLE a.t (a ROW<b ARRAY<INT>, c MAP<STRING, DECIMAL(10,2)>> NOT NULL, d AS a || 'x' "
      "COMMENT 'y', WATERMARK FOR d "
      "AS d - INTERVAL '1 00:00:01' DAY TO SECOND, PRIMARY KEY (a) NOT ENFORCED) PARTITIONED BY "
      "(a) WITH ('a'='b') LIKE x",
      "INSERT INTO t /*+ OPTIONS('a'='b') */ PARTITION (a=1) (x) SELECT CAST(`a` AS VARCHAR(3)), "
      "MAP['a', 1], ARRAY[1] FROM "
      "t /*+ OPTIONS('c'='d') */ FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01 00:00:00' AS x WHERE "
      "a <> 1 -- c",
      "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN 1 THEN 2 END; INSERT INTO b "
      "VALUES ROW(1); END;",
      "SELECT EXTRACT(DAY FROM x), CEIL(x TO HOUR), TIMESTAMPADD(DAY, 1, x), JSON_VALUE(a, '$.b' "
      "RETURNING INT NULL ON ERROR), "
      "U&'\\0041', X'AB', _UTF8'x', TRY_CAST(x AS TIMESTAMP(3) WITH LOCAL TIME ZONE)",
      "EXPLAIN ESTIMATED_COST SELECT 1",
      "SET 'a' = 'b'",
      "SHOW TABLES FROM x LIKE 'y'",
      "CALL c.sys.create_tag('t', tag => 'a', snapshot_id => 1)",
      "ALTER TABLE t CREATE TAG IF NOT EXISTS a AS OF VERSION 3 RETAIN 5 DAYS",
      "ANALYZE TABLE t COMPUTE STATISTICS FOR COLUMNS a, b",
      "VERIFY TABLE t FULL",
      "CREATE VIEW v (a) AS SELECT 1"};
  std::random_device device;
  unsigned seed = device();
  CAPTURE(seed);
  std::mt19937 random(seed);
  int parsed = 0, refused = 0;
  for (int i = 0; i < 20000; i++) {
    std::string text = Mutated(seeds, random);
    CAPTURE(text);
    try {
      for (const StatementText& part : SplitScript(text)) ParseStatement(part);
      parsed++;
    } catch (const Error& error) {
      REQUIRE(!error.text().empty());
      refused++;
    }
    try {
      ToDuckSql(text);
    } catch (const Error&) {
      refused++;
    }
  }
  CHECK(parsed > 0);
  CHECK(refused > 0);
}

}  // namespace millrace
