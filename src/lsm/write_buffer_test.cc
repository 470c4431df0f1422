// Goal: a flush sorts by (key, sequence), keeps the right row per key and, as a changelog, all
// rows. Method: small hand-made inputs; a random one against std::stable_sort.
#include "lsm/write_buffer.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "lsm/test_bucket.h"

namespace millrace {

namespace {

void AddChanges(WriteBuffer& buffer, const KeyValueLayout& layout,
                const std::vector<std::pair<RowKind, TestRow>>& rows) {
  ChangeChunk chunk;
  chunk.Initialize(layout.ValueTypes());
  for (idx_t i = 0; i < rows.size(); i++) {
    chunk.kinds.push_back(rows[i].first);
    for (idx_t c = 0; c < rows[i].second.size(); c++) chunk.rows.SetValue(c, i, rows[i].second[c]);
  }
  chunk.rows.SetCardinality(rows.size());
  buffer.Add(chunk);
}

/// "key:sequence:kind:value" per row.
std::vector<std::string> Render(DataChunk& chunk) {
  std::vector<std::string> lines;
  for (const TestRow& row : ToRows(chunk)) {
    lines.push_back(fmt::format("{}:{}:{}:{}", row[0].ToString(), row[1].ToString(),
                                RowKindName(static_cast<RowKind>(row[2].GetValue<int8_t>())),
                                row.back().ToString()));
  }
  return lines;
}

struct Flushed {
  std::vector<std::string> merged;
  std::vector<std::string> raw;
};

Flushed FlushAll(WriteBuffer& buffer) {
  Flushed flushed;
  auto into = [](std::vector<std::string>& lines) {
    return [&lines](DataChunk& chunk) {
      for (std::string& line : Render(chunk)) lines.push_back(std::move(line));
    };
  };
  buffer.Flush(into(flushed.merged), into(flushed.raw));
  return flushed;
}

const std::vector<std::pair<RowKind, TestRow>> kChanges = {
    {RowKind::kInsert, {Value::BIGINT(2), Value("a")}},
    {RowKind::kInsert, {Value::BIGINT(-1), Value("b")}},
    {RowKind::kUpdateBefore, {Value::BIGINT(2), Value("a")}},
    {RowKind::kUpdateAfter, {Value::BIGINT(2), Value("c")}},
    {RowKind::kDelete, {Value::BIGINT(-1), Value("b")}}};

}  // namespace

TEST_CASE("The last change of a key wins; a changelog keeps them all") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "STRING"}, {0});
  WriteBuffer buffer(layout, 100);
  AddChanges(buffer, layout, kChanges);
  CHECK(buffer.RowCount() == 5);
  Flushed flushed = FlushAll(buffer);
  CHECK(flushed.merged == std::vector<std::string>{"-1:104:-D:b", "2:103:+U:c"});
  CHECK(flushed.raw == std::vector<std::string>{"-1:101:+I:b", "-1:104:-D:b", "2:100:+I:a",
                                                "2:102:-U:a", "2:103:+U:c"});
  CHECK(buffer.Empty());
  CHECK(buffer.next_sequence_number() == 105);
  AddChanges(buffer, layout, kChanges);
  CHECK(FlushAll(buffer).merged == std::vector<std::string>{"-1:109:-D:b", "2:108:+U:c"});
}

TEST_CASE("ignore-delete drops retractions on entry") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "STRING"}, {0});
  WriteBuffer buffer(layout, 0, {.merge = {.ignore_delete = true}});
  AddChanges(buffer, layout, kChanges);
  CHECK(FlushAll(buffer).merged == std::vector<std::string>{"-1:1:+I:b", "2:2:+U:c"});
}

TEST_CASE("The first-row engine keeps the first") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "STRING"}, {0});
  WriteBuffer buffer(layout, 0,
                     {.merge = {.engine = MergeEngine::kFirstRow, .ignore_delete = true}});
  AddChanges(buffer, layout, kChanges);
  CHECK(FlushAll(buffer).merged == std::vector<std::string>{"-1:1:+I:b", "2:0:+I:a"});
}

TEST_CASE("A user sequence decides before the order of arrival, NULL is smallest") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "INT", "STRING"}, {0});
  layout.sequence_fields = {1};
  WriteBuffer buffer(layout, 0);
  Value one = Value::BIGINT(1);
  AddChanges(buffer, layout,
             {{RowKind::kInsert, {one, Value::INTEGER(5), Value("new")}},
              {RowKind::kInsert, {one, Value::INTEGER(3), Value("old")}},
              {RowKind::kInsert, {one, Value::INTEGER(5), Value("last")}},
              {RowKind::kInsert, {one, Value(), Value("null")}}});
  CHECK(FlushAll(buffer).merged == std::vector<std::string>{"1:2:+I:last"});
}

TEST_CASE("NULL in a key column is refused with its name") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "STRING"}, {1});
  WriteBuffer buffer(layout, 0);
  try {
    AddChanges(buffer, layout, {{RowKind::kInsert, {Value::BIGINT(1), Value()}}});
    FAIL("must throw");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kData);
    CHECK(error.text().find("'f1'") != std::string::npos);
  }
}

TEST_CASE("Strings sort as unsigned bytes, a prefix before the longer") {
  KeyValueLayout layout = MakeLayout({"STRING", "INT"}, {0});
  WriteBuffer buffer(layout, 0);
  std::vector<std::string> keys = {"b",  "",
                                   "a",  std::string("a\0", 2),
                                   "ä",  "aaaaaaaaaaaaaaaab",
                                   "aa", "aaaaaaaaaaaaaaaa",
                                   "Z",  std::string("a\0b", 3),
                                   "€"};
  std::vector<std::pair<RowKind, TestRow>> rows;
  for (const std::string& key : keys) rows.push_back({RowKind::kInsert, {Value(key), Value()}});
  AddChanges(buffer, layout, rows);
  std::vector<std::string> sorted;
  buffer.Flush([&](DataChunk& out) {
    for (const TestRow& row : ToRows(out)) sorted.push_back(duckdb::StringValue::Get(row[0]));
  });
  std::sort(keys.begin(), keys.end(), [](const std::string& a, const std::string& b) {
    int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
    return order != 0 ? order < 0 : a.size() < b.size();
  });
  CHECK(sorted == keys);
}

TEST_CASE("Many rows: the order equals a stable sort's") {
  KeyValueLayout layout = MakeLayout({"BIGINT", "INT"}, {0});
  std::mt19937_64 random(5);
  WriteBuffer buffer(layout, 0);
  std::vector<std::pair<int64_t, int64_t>> expected;  // Key, sequence.
  for (int n = 0; n < 30; n++) {
    ChangeChunk chunk;
    chunk.Initialize(layout.ValueTypes());
    for (idx_t i = 0; i < 1000; i++) {
      auto key = static_cast<int64_t>(random() >> (random() % 64));
      expected.emplace_back(key, static_cast<int64_t>(expected.size()));
      chunk.rows.SetValue(0, i, Value::BIGINT(key));
      chunk.rows.SetValue(1, i, Value::INTEGER(n));
    }
    chunk.rows.SetCardinality(1000);
    buffer.Add(chunk);
  }
  CHECK(buffer.MemoryBytes() > 30'000 * 12);
  std::sort(expected.begin(), expected.end());
  std::vector<std::pair<int64_t, int64_t>> raw;
  idx_t merged = 0;
  buffer.Flush([&](DataChunk& out) { merged += out.size(); },
               [&](DataChunk& out) {
                 for (const TestRow& row : ToRows(out)) {
                   raw.emplace_back(row[0].GetValue<int64_t>(), row[1].GetValue<int64_t>());
                 }
               });
  CHECK(raw == expected);
  size_t keys = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    keys += i == 0 || expected[i].first != expected[i - 1].first;
  }
  CHECK(merged == keys);
}

}  // namespace millrace
