// Goal: manifests survive Avro whole, in every layout that writers make, and damage is reported.
// Method: random entries round trip; a hand-made foreign schema; every prefix and many flipped
// bits.
#include "meta/manifest.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/random.h"
#include "meta/avro.h"
#include "meta/index_manifest.h"
#include "meta/snapshot.h"

namespace millrace {

namespace {

/// Makes values of every kind, present and absent.
struct Maker {
  explicit Maker(uint64_t seed) : random(seed) {}

  bool Coin() { return random.Next() % 2 == 0; }
  int64_t Long() { return static_cast<int64_t>(random.Next() >> (random.Next() % 64)); }
  std::string Text() {
    std::string text;
    for (uint64_t i = random.Next() % 20; i > 0; i--)
      text += static_cast<char>('a' + random.Next() % 26);
    return text;
  }
  std::string Bytes() {
    std::string bytes;
    for (uint64_t i = random.Next() % 40; i > 0; i--) bytes += static_cast<char>(random.Next());
    return bytes;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts(random.Next() % 4);
    for (std::string& text : texts) text = Text();
    return texts;
  }
  template <typename Make>
  auto Maybe(Make make) -> std::optional<decltype(make())> {
    if (Coin()) return std::nullopt;
    return make();
  }
  SimpleStats Stats() {
    SimpleStats stats{Bytes(), Bytes(), {}};
    for (uint64_t i = random.Next() % 4; i > 0; i--) {
      stats.null_counts.push_back(Maybe([&] { return Long(); }));
    }
    return stats;
  }
  ManifestEntry Entry() {
    ManifestEntry entry;
    entry.kind = Coin() ? FileKind::kAdd : FileKind::kDelete;
    entry.partition = Bytes();
    entry.bucket = static_cast<int>(random.Next() % 100) - 2;
    entry.total_buckets = static_cast<int>(random.Next() % 100) - 2;
    DataFileMeta& file = entry.file;
    file.file_name = Text();
    file.file_size = Long();
    file.row_count = Long();
    file.min_key = Bytes();
    file.max_key = Bytes();
    file.key_stats = Stats();
    file.value_stats = Stats();
    file.min_sequence_number = -Long();
    file.max_sequence_number = Long();
    file.schema_id = Long();
    file.level = static_cast<int>(random.Next() % 6);
    file.extra_files = Texts();
    file.creation_time_ms = Maybe([&] { return Long(); });
    file.delete_row_count = Maybe([&] { return Long(); });
    file.embedded_index = Maybe([&] { return Bytes(); });
    file.file_source = Maybe([&] { return Coin() ? FileSource::kAppend : FileSource::kCompact; });
    file.value_stats_columns = Maybe([&] { return Texts(); });
    file.external_path = Maybe([&] { return Text(); });
    file.first_row_id = Maybe([&] { return Long(); });
    file.write_columns = Maybe([&] { return Texts(); });
    return entry;
  }
  ManifestFileMeta Manifest() {
    auto small = [&] { return static_cast<int>(random.Next() % 100); };
    auto large = [&] { return Long(); };
    return {Text(),       Long(),       Long(),       Long(),       Stats(),      Long(),
            Maybe(small), Maybe(small), Maybe(small), Maybe(small), Maybe(large), Maybe(large)};
  }

  Random random;
};

/// Calls `decode` with every prefix and with many flipped bits of `bytes`. Each must give the
/// value, another value, or an Error that names the file; prefixes that still decode are returned.
template <typename Decode>
std::vector<size_t> Damage(const std::string& bytes, uint64_t seed, Decode decode) {
  auto fails = [&](const std::string& damaged) {
    try {
      decode(damaged);
      return false;
    } catch (const Error& error) {
      bool expected =
          error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported;
      REQUIRE(expected);
      REQUIRE(error.text().find("the-file") != std::string::npos);
      return true;
    }
  };
  std::vector<size_t> decoding;
  for (size_t length = 0; length < bytes.size(); length++) {
    if (!fails(bytes.substr(0, length))) decoding.push_back(length);
  }
  Random random(seed);
  for (int i = 0; i < 5000; i++) {
    std::string damaged = bytes;
    damaged[random.Next() % damaged.size()] ^= static_cast<char>(1 << (random.Next() % 8));
    fails(damaged);
  }
  return decoding;
}

}  // namespace

TEST_CASE("Manifests and manifest lists survive Avro") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Maker make(seed);
  std::vector<ManifestEntry> entries(1500);  // Several blocks.
  for (ManifestEntry& entry : entries) entry = make.Entry();
  REQUIRE(ManifestFromAvro(ManifestToAvro(entries), "f") == entries);
  CHECK(ManifestToAvro(entries) == ManifestToAvro(entries));

  std::vector<ManifestFileMeta> manifests(300);
  for (ManifestFileMeta& manifest : manifests) manifest = make.Manifest();
  REQUIRE(ManifestListFromAvro(ManifestListToAvro(manifests), "f") == manifests);
  CHECK(ManifestListFromAvro(ManifestListToAvro({}), "f").empty());
}

TEST_CASE("Rows of other writers are read by field name") {
  // Other order, another name, an unknown field of every shape, a plain int for a union, unions the
  // other way round, fields missing.
  constexpr const char* kForeign = R"({"type":"record","name":"Meta","fields":[
    {"name":"_SCHEMA_ID","type":["long","null"]},
    {"name":"_FUTURE","type":["null",{"type":"map","values":{"type":"array","items":"double"}}]},
    {"name":"_MIN_BUCKET","type":"int"},
    {"name":"_FILE_SIZE","type":"int"},
    {"name":"_PARTITION_STATS","type":["null",{"type":"record","name":"S","namespace":"x","fields":[
       {"name":"_NULL_COUNTS","type":{"type":"array","items":"long"}},
       {"name":"_MAX_VALUES","type":{"type":"fixed","name":"Two","size":2}},
       {"name":"_MIN_VALUES","type":"Two"}]}]},
    {"name":"_ENUM","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"_FILE_NAME","type":"bytes"},
    {"name":"_NUM_ADDED_FILES","type":"long"},{"name":"_NUM_DELETED_FILES","type":"long"}]})";
  for (const char* codec : {"null", "deflate", "zstandard"}) {
    CAPTURE(codec);
    AvroFileWriter writer(kForeign, codec);
    std::string& row = writer.row();
    AppendAvroLong(row, 0), AppendAvroLong(row, 7);   // _SCHEMA_ID: first branch.
    AppendAvroLong(row, 1), AppendAvroLong(row, -1);  // _FUTURE: a map in one block with its size.
    AppendAvroLong(row, 12), AppendAvroBytes(row, "k");
    AppendAvroLong(row, 1), AppendLittle<double>(row, 1.5), AppendAvroLong(row, 0),
        AppendAvroLong(row, 0);
    AppendAvroLong(row, 3);    // _MIN_BUCKET.
    AppendAvroLong(row, 100);  // _FILE_SIZE.
    AppendAvroLong(row, 1), AppendAvroLong(row, 1), AppendAvroLong(row, 5), AppendAvroLong(row, 0);
    row += "YYXX";
    AppendAvroLong(row, 1);
    AppendAvroBytes(row, "manifest-x");
    AppendAvroLong(row, 2), AppendAvroLong(row, 1);
    writer.EndRow();
    std::vector<ManifestFileMeta> read = ManifestListFromAvro(writer.Finish(), "f");
    REQUIRE(read.size() == 1);
    ManifestFileMeta expected{"manifest-x", 100, 2, 1, {"XX", "YY", {5}}, 7, 3, {}, {}, {}, {}, {}};
    CHECK(read[0] == expected);
  }
}

TEST_CASE("A required field that is missing is named") {
  AvroFileWriter writer(
      R"({"type":"record","name":"r","fields":[{"name":"_FILE_NAME","type":"string"}]})");
  AppendAvroBytes(writer.row(), "m");
  writer.EndRow();
  try {
    ManifestListFromAvro(writer.Finish(), "list-1");
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.text() == "Reading Avro file 'list-1': its rows have no field _FILE_SIZE");
  }
}

TEST_CASE("Damaged manifests are reported, whatever byte is hit") {
  uint64_t seed = Random().Next();
  INFO("seed " << seed);
  Maker make(seed);
  std::string manifest = ManifestToAvro({make.Entry(), make.Entry()});
  auto decode = [](const std::string& bytes) { ManifestFromAvro(bytes, "the-file"); };
  CHECK(Damage(manifest, seed, decode).empty());
  std::string list = ManifestListToAvro({make.Manifest(), make.Manifest()});
  auto decode_list = [](const std::string& bytes) { ManifestListFromAvro(bytes, "the-file"); };
  CHECK(Damage(list, seed, decode_list).empty());

  // The rows themselves, without a checksum around them.
  for (const char* codec : {"null", "deflate"}) {
    AvroFileReader whole(manifest, "f");
    std::string schema = manifest.substr(manifest.find("{\"type\""));
    schema = schema.substr(0, schema.find("]}}]}") + 5);
    AvroFileWriter writer(schema, codec);
    int64_t rows = 0;
    writer.row() = *whole.NextBlock(rows);
    writer.EndRow();
    std::string bytes = writer.Finish();
    Damage(bytes, seed, decode);
  }
}

TEST_CASE("A schema that refers to itself neither confuses nor exhausts the reader") {
  // _KEY_STATS has the type of _FILE, which holds it: a row without end.
  AvroFileWriter writer(R"({"type":"record","name":"r","fields":[
    {"name":"_KIND","type":"int"},{"name":"_PARTITION","type":"bytes"},
    {"name":"_BUCKET","type":"int"},
    {"name":"_TOTAL_BUCKETS","type":"int"},
    {"name":"_FILE","type":{"type":"record","name":"F","fields":[
      {"name":"_FILE_NAME","type":"string"},{"name":"_FILE_SIZE","type":"long"},
      {"name":"_ROW_COUNT","type":"long"},{"name":"_MIN_KEY","type":"bytes"},
      {"name":"_MAX_KEY","type":"bytes"},{"name":"_MIN_VALUES","type":"bytes"},
      {"name":"_MAX_VALUES","type":"bytes"},{"name":"_KEY_STATS","type":"F"},
      {"name":"_VALUE_STATS","type":"F"},{"name":"_MIN_SEQUENCE_NUMBER","type":"long"},
      {"name":"_MAX_SEQUENCE_NUMBER","type":"long"},{"name":"_SCHEMA_ID","type":"long"},
      {"name":"_LEVEL","type":"int"}]}}]})",
                        "null");
  writer.row() = std::string(60000, '\0');
  writer.EndRow();
  CHECK_THROWS_AS(ManifestFromAvro(writer.Finish(), "f"), Error);
}

TEST_CASE("Index manifests survive Avro, and damage is reported") {
  IndexManifestEntry hash{
      FileKind::kAdd, std::string(12, '\0'), 3, kHashIndex, "index-1", 12, 3, {}, {}, {}};
  IndexManifestEntry vectors{
      FileKind::kDelete, "p", 0, kDeletionVectorsIndex,
      "index-2",         60,  2, {{{"data-1", 1, 24, 2}, {"data-2", 33, 24, {}}}},
      "s3://x",          {}};
  IndexManifestEntry global{FileKind::kAdd,
                            "p",
                            0,
                            "btree",
                            "index-3",
                            1,
                            1,
                            {{}},
                            {},
                            GlobalIndexMeta{0, 99, 4, {{5, 6}}, "meta"}};
  std::vector<IndexManifestEntry> entries = {hash, vectors, global};
  std::string bytes = IndexManifestToAvro(entries);
  CHECK(IndexManifestFromAvro(bytes, "f") == entries);
  auto decode = [](const std::string& damaged) { IndexManifestFromAvro(damaged, "the-file"); };
  CHECK(Damage(bytes, 1, decode).empty());
}

TEST_CASE("ADD and DELETE cancel by the whole identifier") {
  Maker make(1);
  ManifestEntry add = make.Entry();
  add.kind = FileKind::kAdd;
  add.file.level = 0;
  ManifestEntry remove = add;
  remove.kind = FileKind::kDelete;
  remove.file.row_count++;  // Not part of the identifier.
  ManifestEntry upgraded = add;
  upgraded.file.level = 5;
  CHECK(MergeManifestEntries({add, remove, upgraded}) == std::vector<ManifestEntry>{upgraded});
  CHECK(MergeManifestEntries({add, upgraded, remove}) == std::vector<ManifestEntry>{upgraded});
  CHECK(MergeManifestEntries({remove}) == std::vector<ManifestEntry>{remove});
  CHECK(MergeManifestEntries({add, remove, add}) == std::vector<ManifestEntry>{add});
  CHECK_THROWS_AS(MergeManifestEntries({add, add}), Error);
  ManifestEntry other = add;
  other.file.external_path = "s3://x";
  CHECK(FileIdentifier(other) != FileIdentifier(add));
  CHECK(MergeManifestEntries({add, other}).size() == 2);
}

TEST_CASE("A snapshot survives its JSON, foreign fields are ignored, damage is reported") {
  Snapshot snapshot{.id = 7,
                    .schema_id = 1,
                    .base_manifest_list = "b",
                    .base_manifest_list_size = 1006,
                    .delta_manifest_list = "d",
                    .delta_manifest_list_size = {},
                    .changelog_manifest_list = "c",
                    .changelog_manifest_list_size = 3,
                    .index_manifest = "i",
                    .commit_user = "u",
                    .commit_identifier = kBatchCommitIdentifier,
                    .commit_kind = CommitKind::kCompact,
                    .time_ms = 1795397347564,
                    .total_record_count = 3,
                    .delta_record_count = -3,
                    .changelog_record_count = 3,
                    .watermark = -9223372036854775807 - 1,
                    .statistics = "s",
                    .properties = {{"millrace.full", "true"}},
                    .next_row_id = 0,
                    .log_offsets = {{0, 12}, {11, 5}}};
  std::string json = SnapshotToJson(snapshot);
  CHECK(SnapshotFromJson(json, "f") == snapshot);
  Snapshot bare;
  bare.commit_user = "x";
  CHECK(SnapshotFromJson(SnapshotToJson(bare), "f") == bare);
  CHECK(json.find("\"version\": 3,\n  \"id\": 7,\n  \"schemaId\": 1") != std::string::npos);
  CHECK(json.find("\"changelogRecordCount\": 3,\n  \"watermark\": -9223372036854775808") !=
        std::string::npos);

  Snapshot foreign = SnapshotFromJson(
      R"({"version":3,"id":1,"schemaId":0,"baseManifestList":"b","deltaManifestList":"d",
          "commitUser":"u",
          "commitIdentifier":1,"commitKind":"APPEND","timeMillis":5,"totalRecordCount":null,
          "uuid":"x","operation":{"a":[1]}})",
      "f");
  CHECK(foreign.next_row_id == std::nullopt);
  CHECK(foreign.commit_identifier == 1);

  CHECK(Damage(json, 3, [](const std::string& bytes) {
          SnapshotFromJson(bytes, "the-file");
        }).empty());
}

}  // namespace millrace
