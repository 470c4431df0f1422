// Goal: DELETE, UPDATE, MERGE, TRUNCATE, ALTER and the new forms of CREATE TABLE are parsed into
// what they say, and a wrong one fails at its place. Method: texts as users write them, fields
// compared.
#include <doctest/doctest.h>

#include "base/error.h"
#include "sql/statement.h"

namespace millrace {

namespace {

template <typename Body>
Body Parse(const std::string& text) {
  CAPTURE(text);
  Statement statement = ParseStatement({text, {}, true});
  REQUIRE(std::holds_alternative<Body>(statement.body));
  return std::get<Body>(statement.body);
}

template <typename Change>
Change OnlyChange(const std::string& text) {
  AlterTable alter = Parse<AlterTable>(text);
  REQUIRE(alter.changes.size() == 1);
  REQUIRE(std::holds_alternative<Change>(alter.changes[0]));
  return std::get<Change>(alter.changes[0]);
}

std::string ErrorOf(const std::string& text) {
  CAPTURE(text);
  try {
    ParseStatement({text, {}, true});
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

}  // namespace

TEST_CASE("DELETE and UPDATE name a table, an alias, values and a condition") {
  DeleteRows all = Parse<DeleteRows>("DELETE FROM `t`");
  CHECK(all.target.alias == "t");
  CHECK(!all.condition);
  DeleteRows some = Parse<DeleteRows>(
      "DELETE FROM c.d.t /*+ OPTIONS('write-only' = 'true') */ AS x WHERE `a` = 1 AND x.b IN "
      "(SELECT b FROM u)");
  CHECK(some.target.name == QualifiedName{"c", "d", "t"});
  CHECK(some.target.hint == Options{{"write-only", "true"}});
  CHECK(some.target.alias == "x");
  CHECK(*some.condition == "\"a\" = 1 AND x.b IN (SELECT b FROM u)");
  UpdateRows update = Parse<UpdateRows>(
      "UPDATE t SET a = CASE WHEN b THEN f(1, 2) ELSE 3 END, t.b = (SELECT MAX(x) FROM u WHERE x > "
      "1) WHERE c");
  REQUIRE(update.assignments.size() == 2);
  CHECK(update.assignments[0].expression == "CASE WHEN b THEN f(1, 2) ELSE 3 END");
  CHECK(update.assignments[1].column == "b");
  CHECK(*update.condition == "c");
  CHECK(Parse<UpdateRows>("UPDATE t x SET x.a = 1").target.alias == "x");
  CHECK(Parse<TruncateTable>("TRUNCATE TABLE d.t").name == QualifiedName{"d", "t"});
  CHECK(ErrorOf("UPDATE t SET a = ").find("expected the new value of 'a'") != std::string::npos);
  CHECK(ErrorOf("UPDATE t SET r.f.g = 1").find("whole column") != std::string::npos);
  CHECK(ErrorOf("DELETE t").find("expected FROM") != std::string::npos);
  CHECK(ErrorOf("DELETE FROM t WHERE").find("a condition") != std::string::npos);
}

TEST_CASE("MERGE INTO has clauses in order") {
  MergeInto merge = Parse<MergeInto>(
      "MERGE INTO t AS a USING (SELECT 1 AS id WHERE TRUE) s ON a.id = s.id AND s.x IS NOT NULL\n"
      "WHEN MATCHED AND CASE WHEN a.v > 1 THEN TRUE END THEN UPDATE SET v = s.v, w = (1 + 2)\n"
      "WHEN MATCHED THEN DELETE\n"
      "WHEN NOT MATCHED AND s.id > 0 THEN INSERT (id, v) VALUES (s.id, COALESCE(s.v, 0))\n"
      "WHEN NOT MATCHED BY TARGET THEN INSERT *\n"
      "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = 0");
  CHECK(merge.source == "(SELECT 1 AS id WHERE TRUE)");
  CHECK(merge.source_alias == "s");
  CHECK(merge.condition == "a.id = s.id AND s.x IS NOT NULL");
  REQUIRE(merge.clauses.size() == 5);
  CHECK(*merge.clauses[0].condition == "CASE WHEN a.v > 1 THEN TRUE END");
  CHECK(merge.clauses[0].assignments[1].expression == "(1 + 2)");
  CHECK(merge.clauses[1].action == MergeClause::Action::kDelete);
  CHECK(merge.clauses[2].assignments[1].expression == "COALESCE(s.v, 0)");
  CHECK(merge.clauses[3].star);
  CHECK(merge.clauses[3].when == MergeClause::Case::kNotMatched);
  CHECK(merge.clauses[4].when == MergeClause::Case::kNotMatchedBySource);
  MergeInto named = Parse<MergeInto>(
      "MERGE INTO t USING (VALUES (1, 2)) AS s (a, b) ON t.a = s.a WHEN MATCHED THEN UPDATE SET *");
  CHECK(named.source_columns == std::vector<std::string>{"a", "b"});
  CHECK(ErrorOf("MERGE INTO t USING s ON a = b").find("expected WHEN") != std::string::npos);
  CHECK(ErrorOf("MERGE INTO t USING s ON a = b WHEN NOT MATCHED THEN DELETE")
            .find("can only be inserted") != std::string::npos);
  CHECK(ErrorOf("MERGE INTO t USING s ON a = b WHEN NOT MATCHED THEN INSERT (a) VALUES (1, 2)")
            .find("1 columns are named here, but 2") != std::string::npos);
}

TEST_CASE("ALTER TABLE in Flink's forms") {
  auto add = Parse<AlterTable>(
      "ALTER TABLE IF EXISTS t ADD (a INT COMMENT 'x' FIRST, r.f STRING AFTER g, b AS a + 1)");
  CHECK(add.if_exists);
  REQUIRE(add.changes.size() == 2);
  const auto& first = std::get<AddColumn>(add.changes[0]);
  CHECK(first.comment == "x");
  CHECK(first.position->place == ColumnPosition::Place::kFirst);
  CHECK(std::get<AddColumn>(add.changes[1]).path == ColumnPath{"r", "f"});
  CHECK(std::get<AddColumn>(add.changes[1]).position->reference == "g");
  REQUIRE(add.computed.size() == 1);
  CHECK(*add.computed[0].computed == "a + 1");
  auto modify = Parse<AlterTable>("ALTER TABLE t MODIFY a BIGINT NOT NULL COMMENT 'y' AFTER b");
  REQUIRE(modify.changes.size() == 3);
  CHECK(!std::get<ChangeColumnType>(modify.changes[0]).keep_nullability);
  CHECK(!std::get<ChangeColumnType>(modify.changes[0]).type.nullable);
  CHECK(OnlyChange<DropColumn>("ALTER TABLE t DROP a").path == ColumnPath{"a"});
  CHECK(Parse<AlterTable>("ALTER TABLE t DROP (a, b.c)").changes.size() == 2);
  CHECK(OnlyChange<RenameColumn>("ALTER TABLE t RENAME `a` TO `b`").new_name == "b");
  CHECK(*Parse<AlterTable>("ALTER TABLE t RENAME TO u").rename_to == QualifiedName{"u"});
  CHECK(OnlyChange<SetTableOption>("ALTER TABLE t SET ('a' = 'b')").value == "b");
  CHECK(Parse<AlterTable>("ALTER TABLE t RESET ('a', 'b')").changes.size() == 2);
  (void)OnlyChange<DropPrimaryKey>("ALTER TABLE t DROP PRIMARY KEY");
  CHECK(Parse<AlterTable>("ALTER TABLE t DROP WATERMARK").drop_watermark);
  CHECK(Parse<AlterTable>("ALTER TABLE t ADD WATERMARK FOR ts AS ts - INTERVAL '1' SECOND")
            .watermark->column == "ts");
  auto drop = Parse<AlterTable>(
      "ALTER TABLE t DROP IF EXISTS PARTITION (a = 1, b = 'x'), PARTITION (a = DATE '2024-01-01')");
  REQUIRE(drop.drop_partitions.size() == 2);
  CHECK(drop.drop_partitions[0].at("b") == "'x'");
  CHECK(drop.drop_partitions_if_exist);
}

TEST_CASE("ALTER TABLE in Spark's forms, and what is none") {
  CHECK(OnlyChange<AddColumn>("ALTER TABLE t ADD COLUMNS IF NOT EXISTS (a INT)").if_not_exists);
  CHECK(OnlyChange<AddColumn>("ALTER TABLE t ADD COLUMN a INT DEFAULT -5").default_value == "-5");
  CHECK(OnlyChange<AddColumn>("ALTER TABLE t ADD a DATE DEFAULT DATE '2024-01-01'").default_value ==
        "'2024-01-01'");
  CHECK(OnlyChange<RenameColumn>("ALTER TABLE t RENAME COLUMN a.b TO c").path ==
        ColumnPath{"a", "b"});
  CHECK(OnlyChange<DropColumn>("ALTER TABLE t DROP COLUMN IF EXISTS a").if_exists);
  CHECK(OnlyChange<ChangeColumnType>("ALTER TABLE t ALTER COLUMN a TYPE BIGINT").keep_nullability);
  CHECK(!OnlyChange<ChangeColumnNullability>("ALTER TABLE t ALTER COLUMN a SET NOT NULL").nullable);
  CHECK(OnlyChange<ChangeColumnNullability>("ALTER TABLE t ALTER COLUMN a DROP NOT NULL").nullable);
  CHECK(OnlyChange<ChangeColumnComment>("ALTER TABLE t CHANGE COLUMN a COMMENT 'z'").comment ==
        "z");
  CHECK(*OnlyChange<ChangeColumnDefault>("ALTER TABLE t ALTER COLUMN a SET DEFAULT 'q'").value ==
        "'q'");
  CHECK(!OnlyChange<ChangeColumnDefault>("ALTER TABLE t ALTER COLUMN a DROP DEFAULT").value);
  CHECK(OnlyChange<SetTableOption>("ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')").key == "a");
  CHECK(OnlyChange<ResetTableOption>("ALTER TABLE t UNSET TBLPROPERTIES ('a')").key == "a");
  CHECK(Parse<AlterView>("ALTER VIEW v RENAME TO w").rename_to == QualifiedName{"w"});
  CHECK(Parse<CreateView>("ALTER VIEW v AS SELECT 1").or_replace);
  CHECK(ErrorOf("ALTER TABLE t ADD PARTITION (a = 1)").find("INSERT them") != std::string::npos);
  CHECK(ErrorOf("ALTER TABLE t ADD PRIMARY KEY (a) NOT ENFORCED").find("stays") !=
        std::string::npos);
  CHECK(ErrorOf("ALTER TABLE t MODFY a INT").find("did you mean 'MODIFY'") != std::string::npos);
  CHECK(ErrorOf("ALTER TABLE t ADD a INT DEFAULT 1 + 1").find("expected the end") !=
        std::string::npos);
  CHECK(ErrorOf("ALTER DATABASE d SET ('a' = 'b')").find("only tables and views") !=
        std::string::npos);
}

TEST_CASE("CREATE TABLE with defaults, LIKE with rules, REPLACE") {
  CreateTable create = Parse<CreateTable>("CREATE TABLE t (a INT DEFAULT 7, b STRING DEFAULT 'x')");
  CHECK(create.definition.columns[0].default_value == "7");
  CHECK(create.definition.columns[1].default_value == "'x'");
  CHECK(Parse<CreateTable>("CREATE OR REPLACE TABLE t AS SELECT 1").or_replace);
  CHECK(Parse<CreateTable>("REPLACE TABLE t AS SELECT 1").must_exist);
  LikeRules rules =
      Parse<CreateTable>("CREATE TABLE t LIKE s (EXCLUDING ALL INCLUDING OPTIONS)").like_rules;
  CHECK(rules.constraints == LikeRule::kExcluding);
  CHECK(rules.options == LikeRule::kIncluding);
  CHECK(Parse<CreateTable>("CREATE TABLE t LIKE s").like_rules.options == LikeRule::kOverwriting);
  CHECK(ErrorOf("CREATE TABLE t LIKE s (OVERWRITING PARTITIONS)").find("INCLUDING or EXCLUDING") !=
        std::string::npos);
}

}  // namespace millrace
