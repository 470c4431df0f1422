// Goal: what an encoder writes its decoder reads back, row for row, whatever the types and however
// the bytes are cut; and bad records are named or skipped.
// Method: random rows of every type (seed printed), random cuts; a catalogue of malformed records.
#include "format/codec/codec.h"

#include <doctest/doctest.h>

#include <random>

#include "base/error.h"
#include "format/codec/codec_fixture.h"

using namespace millrace;

TEST_CASE("Random rows survive every format and every cut of the bytes") {
  uint32_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const std::string& format : CodecNames()) {
    CAPTURE(format);
    for (int round = 0; round < 6; round++) {
      bool nested = format != "csv";
      std::vector<DataField> fields = RandomFields(random, nested);
      Options options;
      if (round % 2) options[format + ".timestamp-format.standard"] = "ISO-8601";
      if (format == "csv") {
        options = {{"csv.null-literal", "NIL"}};
        if (round % 2) options["csv.field-delimiter"] = "|";
        if (round == 3) options["csv.escape-character"] = "\\";
      }
      ChunkList chunks;
      RowSet rows = RandomRows(random, fields, 700, format == "debezium-json", chunks);
      std::string bytes = EncodeAll(format, fields, options, chunks);
      RowSet back = DecodeAll(format, fields, options, bytes, random);
      if (format == "debezium-json") {  // -U and +U come back as -D and +I, as Flink has it.
        for (auto& row : rows) row[0] = row[0] == "-U" ? "-D" : row[0] == "+U" ? "+I" : row[0];
      }
      REQUIRE(back.size() == rows.size());
      for (size_t i = 0; i < rows.size(); i++) {
        CAPTURE(i);
        REQUIRE(back[i] == rows[i]);
      }
    }
  }
}

TEST_CASE("Wanted columns come in the wanted order") {
  std::vector<DataField> fields = Fields("a INT, b STRING, c DECIMAL(10, 2)");
  for (const char* format : {"csv", "json"}) {
    std::string bytes = std::string(format) == "csv"
                            ? "1,x,2.50\n2,y,3\n"
                            : "{\"a\":1,\"b\":\"x\",\"c\":2.50}\n"
                              "{\"c\":\"3\",\"extra\":{\"z\":[1]},\"b\":\"y\"}\n";
    RowSet rows = DecodeRows(format, {fields, {2, 1}}, {}, bytes);
    CHECK(rows == RowSet{{"+I", "2.50", "x"}, {"+I", "3.00", "y"}});
  }
}

TEST_CASE("A malformed record is named with origin, line and field, or skipped and counted") {
  struct Case {
    const char* format;
    const char* columns;
    const char* bad;       // Stands on line 2 of 3.
    const char* expected;  // Part of the message.
  };
  const char* kTwo = "a INT, b DECIMAL(5, 2)";
  const Case kCases[] = {
      {"json", kTwo, "{\"a\":\"12x\"}", "field 'a': '12x' is not an INT"},
      {"json", kTwo, "{\"a\":3000000000}", "field 'a': '3000000000' is not an INT"},
      {"json", kTwo, "{\"a\":1.5}", "field 'a': '1.5' is not an INT"},
      {"json", kTwo, "{\"b\":1000.00}", "field 'b': '1000.00' is not a DECIMAL(5, 2)"},
      {"json", kTwo, "{\"a\":{\"x\":1}}", "is not an INT"},
      {"json", kTwo, "{\"a\":1", "line 2"},
      {"json", kTwo, "{\"a\":1}}", "more text"},
      {"json", kTwo, "[1,2]", "line 2"},
      {"json", kTwo, "hello", "line 2"},
      {"json", kTwo, "{\"a\":nul}", "field 'a'"},
      {"json", "a STRING", "{\"a\":\"\xff\"}", "UTF-8"},
      {"json", "a TIMESTAMP(3)", "{\"a\":\"2024-02-30 00:00:00\"}", "field 'a'"},
      {"json", "a DATE", "{\"a\":17}", "'17' is not a DATE"},
      {"json", "a ROW<b ARRAY<INT>>", "{\"a\":{\"b\":[1,\"x\"]}}", "field 'a.b'"},
      {"csv", kTwo, "1", "it has 1 field, the table has 2 columns"},
      {"csv", kTwo, "1,2,3", "it has 3 fields"},
      {"csv", kTwo, "x,2", "field 'a': 'x' is not an INT"},
      {"csv", kTwo, "\"1\"2,3", "behind the closing quote"},
      {"csv", "a STRING, b INT", "\xff,1", "field 'a'"},
      {"debezium-json", kTwo, "{\"before\":null,\"after\":{\"a\":1},\"op\":\"x\"}",
       "field 'op': 'x'"},
      {"debezium-json", kTwo, "{\"before\":null,\"after\":{\"a\":1}}", "field 'op'"},
      {"debezium-json", kTwo, "{\"before\":null,\"after\":null,\"op\":\"c\"}", "field 'after'"},
      {"debezium-json", kTwo, "{\"before\":null,\"after\":{\"a\":1},\"op\":\"u\"}",
       "REPLICA IDENTITY"},
      {"debezium-json", kTwo, "{\"before\":null,\"after\":{\"a\":\"q\"},\"op\":\"c\"}",
       "field 'after.a'"},
      {"debezium-json", kTwo, "{\"schema\":{},\"payload\":{\"op\":\"c\"}}", "schema-include"},
  };
  for (const Case& bad : kCases) {
    CAPTURE(bad.bad);
    std::vector<DataField> fields = Fields(bad.columns);
    std::string good = GoodRecord(bad.format, fields);
    std::string bytes = good + bad.bad + "\n" + good;
    RecordFormat record{fields, AllOf(fields)};
    CHECK_THROWS_WITH_AS(DecodeRows(bad.format, record, {}, bytes), doctest::Contains(bad.expected),
                         Error);
    CHECK_THROWS_WITH_AS(DecodeRows(bad.format, record, {}, bytes),
                         doctest::Contains("line 2 of the test"), Error);
    int64_t skipped = 0;
    Options ignore = {{std::string(bad.format) + ".ignore-parse-errors", "true"}};
    CHECK(DecodeRows(bad.format, record, ignore, bytes, &skipped).size() == 2);
    CHECK(skipped == 1);
  }
}

TEST_CASE("CSV's special lines: header, comments, blanks, quotes, nulls, CRLF") {
  std::vector<DataField> fields = Fields("a STRING, b INT");
  RecordFormat record{fields, {0, 1}};
  Options options = {{"csv.ignore-first-line", "true"},
                     {"csv.allow-comments", "true"},
                     {"csv.null-literal", "\\N"}};
  RowSet rows =
      DecodeRows("csv", record, options,
                 "a,b\r\n# no record\r\n\r\n\"x,\"\"y\"\"\nz\",1\r\n\\N,\\N\r\n\"\\N\",\r\n,7");
  CHECK(rows == RowSet{{"+I", "x,\"y\"\nz", "1"},
                       {"+I", "NULL", "NULL"},
                       {"+I", "\\N", "NULL"},
                       {"+I", "", "7"}});
}

TEST_CASE("Debezium events: updates, deletes, tombstones, epochs, envelopes") {
  std::vector<DataField> fields =
      Fields("id INT, bal DECIMAL(10, 2), d DATE, ts TIMESTAMP(3), t6 TIMESTAMP(6)");
  RecordFormat record{fields, AllOf(fields)};
  std::string image =
      "{\"id\":1,\"bal\":\"10.5\",\"d\":19723,\"ts\":1704067200123,\"t6\":\"2024-01-01T01:00:00+01:"
      "00\"}";
  RowSet row = {{"", "1", "10.50", "2024-01-01", "2024-01-01 00:00:00.123", "2024-01-01 00:00:00"}};
  auto with = [&](const char* kind) {
    auto copy = row[0];
    copy[0] = kind;
    return copy;
  };
  std::string bytes = "{\"op\":\"r\",\"before\":null,\"after\":" + image + "}\nnull\n\n" +
                      "{\"after\":" + image + ",\"before\":" + image + ",\"op\":\"u\"}\n" +
                      "{\"before\":" + image +
                      ",\"after\":null,\"op\":\"d\",\"source\":{\"a\":[1]}}\nNULL\n";
  int64_t skipped = 0;
  CHECK(DecodeRows("debezium-json", record, {}, bytes, &skipped) ==
        RowSet{with("+I"), with("-U"), with("+U"), with("-D")});
  CHECK(skipped == 0);

  std::string enveloped =
      "{\"schema\":{\"fields\":[{\"field\":\"after\",\"fields\":[{\"field\":\"bal\",\"name\":"
      "\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"1\"}},{\"field\":"
      "\"ts\",\"name\":"
      "\"io.debezium.time.MicroTimestamp\"}]}]},\"payload\":{\"before\":null,\"after\":{\"id\":1,"
      "\"bal\":\"aQ==\","
      "\"d\":19723,\"ts\":1704067200123000,\"t6\":1704067200000000},\"op\":\"c\"}}";
  CHECK(DecodeRows("debezium-json", record, {{"debezium-json.schema-include", "true"}},
                   enveloped) == RowSet{with("+I")});
}

TEST_CASE("An update whose after stands first is read the right way round") {
  std::vector<DataField> fields = Fields("id INT");
  CHECK(DecodeRows("debezium-json", {fields, {0}}, {},
                   "{\"after\":{\"id\":2},\"op\":\"u\",\"before\":{\"id\":1}}") ==
        RowSet{{"-U", "1"}, {"+U", "2"}});
}

// The messages that Debezium 3.2 sent for the same changes from PostgreSQL and MariaDB.
TEST_CASE("Debezium's own messages decode") {
  std::vector<DataField> fields =
      Fields("id INT, name STRING, bal DECIMAL(10, 2), ts TIMESTAMP_LTZ(3)");
  for (const char* zeros : {"", ".000", ".000000"}) {
    std::string ts = std::string("\"2024-01-01T00:00:00") + zeros + "Z\"";
    std::string one = "{\"id\":1,\"name\":\"Ann\",\"bal\":\"10.50\",\"ts\":" + ts + "}";
    std::string bytes =
        "{\"before\":null,\"after\":" + one +
        ",\"source\":{\"version\":\"3.2.0.Final\",\"sequence\":\"[null,\\\"93680560\\\"]\","
        "\"xmin\":null},\"transaction\":null,\"op\":\"r\",\"ts_ms\":1795398251396}\n";
    CHECK(DecodeRows("debezium-json", {fields, AllOf(fields)}, {}, bytes) ==
          RowSet{{"+I", "1", "Ann", "10.50", "2024-01-01 00:00:00+00"}});
  }
}

TEST_CASE("One transaction as Debezium sends it: create, update, delete, tombstone, new key") {
  std::vector<DataField> fields =
      Fields("id INT, name STRING, bal DECIMAL(10, 2), ts TIMESTAMP(3)");
  auto image = [](int id, const char* name, const char* bal) {
    return fmt::format(R"({{"id":{},"name":"{}","bal":"{}","ts":"2024-01-01T00:00:00.000Z"}})", id,
                       name, bal);
  };
  auto event = [](const std::string& before, const std::string& after, const char* op) {
    return fmt::format(
        R"({{"before":{},"after":{},"source":{{"version":"3.2.0.Final",)"
        R"("gtid":"0-1-11","query":null}},)"
        R"("transaction":{{"id":"0-1-11","total_order":1}},"op":"{}","ts_ms":1795398285908}})"
        "\n",
        before, after, op);
  };
  std::string bytes = event("null", image(3, "Cid", "30.00"), "c") +
                      event(image(1, "Ann", "10.50"), image(1, "Ann", "11.00"), "u") +
                      event(image(2, "Bob", "20.00"), "null", "d") + "NULL\n" +
                      event("null", image(22, "Bob", "20.00"), "c");
  std::string ts = "2024-01-01 00:00:00";
  CHECK(DecodeRows("debezium-json", {fields, AllOf(fields)}, {}, bytes) ==
        RowSet{{"+I", "3", "Cid", "30.00", ts},
               {"-U", "1", "Ann", "10.50", ts},
               {"+U", "1", "Ann", "11.00", ts},
               {"-D", "2", "Bob", "20.00", ts},
               {"+I", "22", "Bob", "20.00", ts}});
}

TEST_CASE("Rows of other types than the columns are refused, not misread") {
  ChangeChunk chunk;
  chunk.Initialize({LogicalType::DECIMAL(10, 3)});
  chunk.rows.SetCardinality(1);
  std::string out;
  for (const std::string& format : CodecNames()) {
    CHECK_THROWS_AS(MakeEncoder(format, Fields("a DECIMAL(10, 2)"), {})->Encode(chunk, out), Error);
  }
}
