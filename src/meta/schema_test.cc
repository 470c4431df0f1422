// Goal: schema files keep everything, read what older versions left out, and bad tables are
// refused. Method: golden JSON of the format guide, random damage, a table of wrong definitions.
#include "meta/schema.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/random.h"

namespace millrace {

namespace {

ColumnDefinition Column(const std::string& name, const std::string& type,
                        const std::string& comment = "") {
  ColumnDefinition column;
  column.name = name;
  column.type = ParseDataType(type);
  column.comment = comment;
  return column;
}

TableDefinition Accounts() {
  TableDefinition table;
  table.path = {"c", "d", "accounts"};
  table.columns = {Column("acct_id", "BIGINT", "account number"),
                   Column("branch", "STRING NOT NULL"), Column("balance", "DECIMAL(18,2)"),
                   Column("upd", "TIMESTAMP(3)"), Column("dt", "STRING")};
  table.primary_key = {"dt", "acct_id"};
  table.partition_keys = {"dt"};
  table.options = {{"bucket", "2"}, {"changelog-producer", "input"}, {"path", "/x"}};
  table.comment = "customer balances";
  return table;
}

std::string Refusal(const std::function<void(TableDefinition&)>& change) {
  TableDefinition table = Accounts();
  change(table);
  try {
    MakeSchema(table, 1);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalid);
    return error.text();
  }
  return "";
}

constexpr const char* kNested = R"json({"version":3,"id":4,"fields":[
  {"id":0,"name":"k","type":"INT NOT NULL"},
  {"id":25,"name":"c_arr","type":{"type":"ARRAY","element":"INT NOT NULL"}},
  {"id":26,"name":"c_map","type":{"type":"MAP NOT NULL","key":"STRING","value":"DECIMAL(10, 2)"}},
  {"id":27,"name":"c_row","type":{"type":"ROW","fields":[
    {"id":28,"name":"a","type":"INT","description":"inner a"},
    {"id":30,"name":"b","type":{"type":"ARRAY","element":
      {"type":"ROW","fields":[{"id":29,"name":"x","type":"STRING"}]}}}]}},
  {"id":31,"name":"c_set","type":{"type":"MULTISET","element":"BYTES","nullable":false},
    "defaultValue":"x"}],
  "highestFieldId":31,"partitionKeys":[],"primaryKeys":["k"],
  "options":{"a":"1","n":5,"z":null},"timeMillis":9})json";

}  // namespace

TEST_CASE("CREATE TABLE becomes the schema file that Paimon writes") {
  TableSchema schema = MakeSchema(Accounts(), 1795397343846);
  auto expected = nlohmann::json::parse(R"json({ "version" : 3, "id" : 0,
    "fields" : [ { "id":0, "name":"acct_id", "type":"BIGINT NOT NULL",
                   "description":"account number" },
                 { "id":1, "name":"branch",  "type":"STRING NOT NULL" },
                 { "id":2, "name":"balance", "type":"DECIMAL(18, 2)" },
                 { "id":3, "name":"upd",     "type":"TIMESTAMP(3)" },
                 { "id":4, "name":"dt",      "type":"STRING NOT NULL" } ],
    "highestFieldId" : 4, "partitionKeys" : [ "dt" ], "primaryKeys" : [ "dt", "acct_id" ],
    "options" : { "bucket":"2", "changelog-producer":"input" },
    "comment" : "customer balances", "timeMillis" : 1795397343846 })json");
  CHECK(nlohmann::json::parse(SchemaToJson(schema)) == expected);
  CHECK(SchemaFromJson(SchemaToJson(schema), "f") == schema);
  CHECK(schema.TrimmedPrimaryKey() == std::vector<idx_t>{0});
  CHECK(schema.PartitionColumns() == std::vector<idx_t>{4});
  CHECK(schema.BucketKey() == std::vector<idx_t>{0});
}

TEST_CASE("Nested types have their ids and JSON") {
  TableSchema schema = SchemaFromJson(kNested, "f");
  CHECK(schema.fields[3].type.ToString() == "ROW<a INT 'inner a', b ARRAY<ROW<x STRING>>>");
  CHECK(schema.fields[3].type.fields[1].id == 30);
  CHECK_FALSE(schema.fields[2].type.nullable);
  CHECK(schema.fields[4].type.ToString() == "MULTISET<BYTES> NOT NULL");
  CHECK(schema.fields[4].default_value == "x");
  CHECK(schema.options == Options{{"a", "1"}, {"n", "5"}});
  CHECK(SchemaFromJson(SchemaToJson(schema), "f") == schema);

  TableDefinition table;
  table.columns = {Column("k", "INT"), Column("r", "ROW<a INT, b ARRAY<ROW<x STRING>>>"),
                   Column("m", "MAP<STRING, ROW<y INT>>")};
  TableSchema made = MakeSchema(table, 1);  // A column, then what is inside it, children first.
  CHECK(made.fields[1].id == 1);
  CHECK(made.fields[1].type.fields[0].id == 2);
  CHECK(made.fields[1].type.fields[1].type.children[0].fields[0].id == 3);
  CHECK(made.fields[1].type.fields[1].id == 4);
  CHECK(made.fields[2].id == 5);
  CHECK(made.highest_field_id == 6);
}

TEST_CASE("Schemas of older versions get the defaults of their time") {
  const char* kFields = R"("fields":[{"id":7,"name":"a","type":"INT"}])";
  TableSchema first = SchemaFromJson(fmt::format(R"({{"id":0,{}}})", kFields), "f");
  CHECK(first.options == Options{{"bucket", "1"}, {"file.format", "orc"}});
  CHECK(first.highest_field_id == 7);
  TableSchema second = SchemaFromJson(fmt::format(R"({{"version":2,"id":0,{}}})", kFields), "f");
  CHECK(second.options == Options{{"file.format", "orc"}});
  CHECK_THROWS_AS(SchemaFromJson(fmt::format(R"({{"version":4,"id":0,{}}})", kFields), "f"), Error);
}

TEST_CASE("A damaged schema file is reported with its name") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Random random(seed);
  std::string json = kNested;
  auto check = [](const std::string& damaged, bool must_fail) {
    try {
      SchemaFromJson(damaged, "schema-4");
      REQUIRE_FALSE(must_fail);
    } catch (const Error& error) {
      bool expected =
          error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported;
      CAPTURE(error.text());
      REQUIRE(expected);
      REQUIRE(error.text().find("schema-4") != std::string::npos);
    }
  };
  for (size_t length = 0; length < json.size(); length++) check(json.substr(0, length), true);
  for (int i = 0; i < 5000; i++) {
    std::string damaged = json;
    damaged[random.Next() % damaged.size()] ^= static_cast<char>(1 << (random.Next() % 8));
    check(damaged, false);
  }
  std::string deep = R"({"id":0,"fields":[{"id":0,"name":"a","type":)";
  for (int i = 0; i < 3000; i++) deep += R"({"type":"ARRAY","element":)";
  deep += "\"INT\"" + std::string(3000, '}') + "}]}";
  check(deep, true);
}

TEST_CASE("A table that Paimon's readers could not use is refused with the reason") {
  CHECK(Refusal([](TableDefinition&) {}).empty());
  CHECK(Refusal([](TableDefinition& t) {
          t.primary_key = {"dt", "acct"};
        }) ==
        "Creating table 'c.d.accounts': PRIMARY KEY names column 'acct', which the table has not");
  CHECK(Refusal([](TableDefinition& t) {
          t.primary_key = {"dt", "acct_di"};
        }).find("did you mean 'acct_id'") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) { t.primary_key = {"dt"}; }).find("no column besides") !=
        std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.primary_key = {"acct_id"};
        }).find("'dt' is not in the primary key") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) { t.options["bucket"] = "0"; }).find("'bucket' = '0'") !=
        std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.options["bucket-key"] = "branch";
        }).find("not in the primary key") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) { t.options["changelog-producer"] = "lokup"; }) ==
        "Option 'changelog-producer' = 'lokup': one of none, input, full-compaction, lookup is "
        "expected; did you "
        "mean 'lookup'?");
  CHECK(Refusal([](TableDefinition& t) { t.options["sequence.field"] = "updd"; }).find("'upd'") !=
        std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.options["fields.balnce.aggregate-function"] = "sum";
        }).find("did you mean 'balance'") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.options["fields.balance,upd.sequence-group"] = "branch";
        }).empty());
  CHECK(Refusal([](TableDefinition& t) { t.options["primary-key"] = "dt,acct_id"; }).find("both") !=
        std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.columns.push_back(Column("dt", "INT"));
        }).find("twice") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.columns.push_back(Column("_LEVEL", "INT"));
        }).find("reserved") != std::string::npos);
  CHECK(Refusal([](TableDefinition& t) {
          t.primary_key.clear();
          t.options.erase("changelog-producer");
        }).find("'bucket-key'") != std::string::npos);
  TableDefinition keyed_by_option = Accounts();
  keyed_by_option.primary_key.clear();
  keyed_by_option.options["primary-key"] = "dt, acct_id";
  CHECK(MakeSchema(keyed_by_option, 1).primary_keys == std::vector<std::string>{"dt", "acct_id"});
}

}  // namespace millrace
