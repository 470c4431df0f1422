// Goal: ALTER TABLE makes the schema that Paimon would make: ids are for life, keys stay, names are
// followed into options. Method: one table, each change, each refusal with its reason.
#include "meta/schema_change.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "meta/type_casts.h"

namespace millrace {

namespace {

TableSchema Accounts() {
  TableDefinition table;
  table.path = {"c", "d", "t"};
  auto column = [&](const std::string& name, const std::string& type) {
    table.columns.push_back({name, ParseDataType(type), {}, {}, ""});
  };
  column("id", "BIGINT");
  column("dt", "STRING");
  column("v", "INT");
  column("r", "ROW<a INT, b ARRAY<ROW<x STRING>>, m MAP<STRING, ROW<y INT>>>");
  column("s", "STRING NOT NULL");
  table.primary_key = {"dt", "id"};
  table.partition_keys = {"dt"};
  table.options = {{"bucket", "2"}, {"bucket-key", "id"}};
  return MakeSchema(table, 1);
}

TableSchema After(const TableSchema& schema, const std::vector<SchemaChange>& changes,
                  bool has_data = true) {
  return ApplySchemaChanges(schema, changes, {"c.d.t", has_data, 99});
}

std::string Refusal(const std::vector<SchemaChange>& changes, bool has_data = true) {
  try {
    After(Accounts(), changes, has_data);
  } catch (const Error& error) {
    CHECK(error.text().starts_with("Altering table 'c.d.t': "));
    return error.text();
  }
  return "";
}

bool Says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

std::vector<std::string> Names(const TableSchema& schema) {
  duckdb::vector<std::string> names = schema.Names();
  return {names.begin(), names.end()};
}

DataType Type(const std::string& text) {
  return ParseDataType(text);
}

}  // namespace

TEST_CASE("A column is added with the next id, where it is wanted") {
  TableSchema schema = Accounts();
  int highest = schema.highest_field_id;
  AddColumn first{{"f"}, Type("ROW<p INT, q INT>")};
  first.position = ColumnPosition{ColumnPosition::Place::kFirst, ""};
  AddColumn after{{"g"}, Type("INT")};
  after.position = ColumnPosition{ColumnPosition::Place::kAfter, "v"};
  after.comment = "c";
  after.default_value = "5";
  TableSchema next = After(schema, {first, after, AddColumn{{"h"}, Type("INT")}});
  CHECK(Names(next) == std::vector<std::string>{"f", "id", "dt", "v", "g", "r", "s", "h"});
  CHECK(next.id == 1);
  CHECK(next.time_ms == 99);
  CHECK(next.fields[0].id == highest + 1);  // Then what is inside it.
  CHECK(next.fields[0].type.fields[1].id == highest + 3);
  CHECK(next.fields[4].id == highest + 4);
  CHECK(next.highest_field_id == highest + 5);
  CHECK(next.fields[4].default_value == "5");
  AddColumn again{{"v"}, Type("INT")};
  CHECK(Says(Refusal({again}), "there is a column 'v' already"));
  again.if_not_exists = true;
  CHECK(After(schema, {again}).fields == schema.fields);
  CHECK(Says(Refusal({AddColumn{{"n"}, Type("INT NOT NULL")}}), "cannot be NOT NULL"));
  after.default_value = "many";
  CHECK(Says(Refusal({after}), "many is no default of column 'g'"));
  after.position->reference = "vv";
  after.default_value.reset();
  CHECK(Says(Refusal({after}), "did you mean 'v'"));
}

TEST_CASE("Fields inside ROW, ARRAY and MAP") {
  TableSchema schema = Accounts();
  TableSchema next =
      After(schema, {AddColumn{{"r", "c"}, Type("INT")}, RenameColumn{{"r", "a"}, "aa"},
                     ChangeColumnType{{"r", "b", "element", "x"}, Type("BYTES"), true},
                     AddColumn{{"r", "m", "value", "z"}, Type("INT")}, DropColumn{{"r", "b"}}});
  const DataType& row = next.fields[3].type;
  CHECK(row.ToString() == "ROW<aa INT, m MAP<STRING, ROW<y INT, z INT>>, c INT>");
  CHECK(row.fields[0].id == schema.fields[3].type.fields[0].id);
  CHECK(row.fields[2].id == schema.highest_field_id + 1);
  CHECK(Says(Refusal({AddColumn{{"r", "a", "x"}, Type("INT")}}), "'r.a' is INT, not a ROW"));
  CHECK(Says(Refusal({DropColumn{{"r", "b", "x"}}}), "not a ROW"));
  CHECK(Says(Refusal({ChangeColumnType{{"r", "m", "key"}, Type("INT"), true}}),
             "no field 'r.m.key'"));
  CHECK(Says(Refusal({DropColumn{{"r", "b", "element", "x"}}}), "the last field of its ROW"));
}

TEST_CASE("MODIFY of a nested column changes what differs") {
  TableSchema schema = Accounts();
  TableSchema next = After(
      schema, {ChangeColumnType{
                  {"r"}, Type("ROW<n INT, a BIGINT, m MAP<STRING, ROW<y INT, y2 INT>>>"), true}});
  const DataType& row = next.fields[3].type;
  REQUIRE(row.fields.size() == 3);
  CHECK(row.fields[0].id == schema.highest_field_id + 1);
  CHECK(row.fields[1].id == schema.fields[3].type.fields[0].id);
  CHECK(row.fields[1].type == Type("BIGINT"));
  CHECK(row.fields[2].type.children[1].fields[1].id == schema.highest_field_id + 2);
  CHECK(
      Says(Refusal({ChangeColumnType{{"r"}, Type("ROW<m MAP<STRING, ROW<y INT>>, a INT>"), true}}),
           "must keep their order; 'a' has moved"));
  CHECK(Says(Refusal({ChangeColumnType{{"r"}, Type("INT"), true}}), "cannot become INT"));
}

TEST_CASE("Keys stay, and may be renamed where no folder is named by them") {
  CHECK(Says(Refusal({DropColumn{{"id"}}}), "a primary key column"));
  CHECK(Says(Refusal({DropColumn{{"dt"}}}), "key column"));
  CHECK(Says(Refusal({RenameColumn{{"dt"}, "d"}}), "folders are named by it"));
  CHECK(Says(Refusal({ChangeColumnType{{"id"}, Type("STRING"), true}}), "a primary key column"));
  CHECK(Says(Refusal({ChangeColumnNullability{{"id"}, true}}), "a primary key column"));
  TableSchema next = After(Accounts(), {RenameColumn{{"id"}, "nr"}});
  CHECK(next.primary_keys == std::vector<std::string>{"dt", "nr"});
  CHECK(next.options.at("bucket-key") == "nr");
  CHECK(Says(Refusal({DropPrimaryKey{}}), "the table has data by that key"));
}

TEST_CASE("Names are followed into options") {
  TableSchema schema = Accounts();
  schema.options["sequence.field"] = "v,s";
  schema.options["fields.v.aggregate-function"] = "sum";
  schema.options["fields.v,s.sequence-group"] = "r";
  TableSchema next = After(schema, {RenameColumn{{"v"}, "w"}, RenameColumn{{"r"}, "row"}});
  CHECK(next.options.at("sequence.field") == "w,s");
  CHECK(next.options.at("fields.w.aggregate-function") == "sum");
  CHECK(next.options.at("fields.w,s.sequence-group") == "row");
  CHECK(next.options.size() == schema.options.size());
}

TEST_CASE("Types change as Paimon's casts allow") {
  auto changed = [&](const char* type) {
    return After(Accounts(), {ChangeColumnType{{"v"}, Type(type), true}}).fields[2].type;
  };
  CHECK(changed("BIGINT") == Type("BIGINT"));
  CHECK(changed("TINYINT") == Type("TINYINT"));
  CHECK(changed("STRING") == Type("STRING"));
  CHECK(changed("TIMESTAMP(3)") == Type("TIMESTAMP(3)"));
  CHECK(Says(Refusal({ChangeColumnType{{"v"}, Type("DATE"), true}}), "ADD another column"));
  CHECK(Says(Refusal({ChangeColumnType{{"v"}, Type("INT NOT NULL"), false}}),
             "alter-column-null-to-not-null.disabled"));
  CHECK(!After(Accounts(), {ChangeColumnType{{"s"}, Type("VARCHAR(9)"), true}})
             .fields[4]
             .type.nullable);
  CHECK(After(Accounts(), {ChangeColumnType{{"s"}, Type("VARCHAR(9)"), false}})
            .fields[4]
            .type.nullable);
  TableSchema strict = Accounts();
  strict.options["disable-explicit-type-casting"] = "true";
  CHECK_THROWS_WITH_AS(After(strict, {ChangeColumnType{{"v"}, Type("TINYINT"), true}}),
                       doctest::Contains("values could be lost"), Error);
  CHECK(SupportsCast(Type("DATE"), Type("TIMESTAMP(9)"), true));
  CHECK(!SupportsCast(Type("DATE"), Type("TIMESTAMP(9)"), false));
  CHECK(!SupportsCast(Type("DATE"), Type("VARCHAR(10)"), true));
  CHECK(SupportsCast(Type("DATE"), Type("STRING"), true));
  CHECK(!SupportsCast(Type("DOUBLE"), Type("BOOLEAN"), true));
  CHECK(!SupportsCast(Type("SMALLINT"), Type("TIMESTAMP(3)"), true));
}

TEST_CASE("Options that data depends on cannot change once there is data") {
  CHECK(Says(Refusal({SetTableOption{"merge-engine", "aggregation"}}), "merge-engine"));
  CHECK(Says(Refusal({SetTableOption{"bucket", "-1"}}), "do not mix"));
  CHECK(Says(Refusal({ResetTableOption{"bucket"}}), "cannot be reset"));
  CHECK(Says(Refusal({SetTableOption{"path", "/x"}}, false), "cannot be changed"));
  CHECK(Refusal({SetTableOption{"bucket", "-1"}, ResetTableOption{"bucket-key"}}, false).empty());
  CHECK(Refusal({SetTableOption{"bucket-key", "id"}}).empty());  // What it is already.
  TableSchema next = After(Accounts(), {SetTableOption{"bucket", "8"}, SetTableOption{"a", "b"}});
  CHECK(next.options.at("bucket") == "8");
  CHECK(next.options.at("a") == "b");
  CHECK(!After(next, {ResetTableOption{"a"}}).options.contains("a"));
}

TEST_CASE("Columns move") {
  auto order = [&](ColumnPosition position) {
    return Names(After(Accounts(), {ChangeColumnPosition{"v", std::move(position)}}));
  };
  using Place = ColumnPosition::Place;
  CHECK(order({Place::kFirst, ""}) == std::vector<std::string>{"v", "id", "dt", "r", "s"});
  CHECK(order({Place::kAfter, "s"}) == std::vector<std::string>{"id", "dt", "r", "s", "v"});
  CHECK(order({Place::kBefore, "dt"}) == std::vector<std::string>{"id", "v", "dt", "r", "s"});
  CHECK(Says(Refusal({ChangeColumnPosition{"v", {Place::kAfter, "v"}}}), "next to itself"));
}

}  // namespace millrace
