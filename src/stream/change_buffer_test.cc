// Goal: rows come back from a buffer as they went in, wherever they lay meanwhile. Method: random
// chunks of many types into a buffer with a file and into one without, compared row by row; every
// call to the file fails once.
#include "stream/change_buffer.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "base/error.h"

namespace millrace {

namespace {

const duckdb::vector<LogicalType> kTypes = {
    LogicalType::BOOLEAN,        LogicalType::SMALLINT, LogicalType::BIGINT,
    LogicalType::DECIMAL(38, 2), LogicalType::DOUBLE,   LogicalType::VARCHAR,
    LogicalType::BLOB,           LogicalType::INTERVAL, LogicalType::TIMESTAMP};

Value RandomValue(const LogicalType& type, std::mt19937& random) {
  if (random() % 5 == 0) return Value(type);
  auto number = static_cast<int64_t>(random() % 1000) - 500;
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Value::BOOLEAN(number > 0);
    case LogicalTypeId::VARCHAR:
      return Value(std::string(random() % 40, static_cast<char>('a' + random() % 26)));
    case LogicalTypeId::BLOB:
      return Value::BLOB_RAW(std::string(random() % 40, '\0'));
    case LogicalTypeId::INTERVAL:
      return Value::INTERVAL(static_cast<int32_t>(number), 1, number);
    case LogicalTypeId::TIMESTAMP:
      return Value::TIMESTAMP(duckdb::timestamp_t(number));
    default:
      return Value::BIGINT(number).DefaultCastAs(type);
  }
}

std::unique_ptr<ChangeChunk> RandomChunk(std::mt19937& random,
                                         const duckdb::vector<LogicalType>& types) {
  auto made = std::make_unique<ChangeChunk>();
  ChangeChunk& chunk = *made;
  if (!types.empty()) chunk.Initialize(types);
  idx_t rows = random() % 300;
  bool nulls = random() % 3 > 0, kinds = random() % 2 > 0;
  for (idx_t row = 0; row < rows; row++) {
    for (idx_t i = 0; i < types.size(); i++) {
      Value value = RandomValue(types[i], random);
      while (!nulls && value.IsNull()) value = RandomValue(types[i], random);
      chunk.rows.SetValue(i, row, value);
    }
    if (kinds) chunk.kinds.push_back(static_cast<RowKind>(random() % 4));
  }
  chunk.rows.SetCardinality(rows);
  return made;
}

std::vector<std::string> RowsOf(ChangeBuffer& buffer) {
  std::vector<std::string> rows;
  for (idx_t c = 0; c < buffer.Chunks(); c++) {
    ChangeChunk& chunk = buffer.Chunk(c);
    for (idx_t i = 0; i < chunk.size(); i++) {
      std::string text = RowKindName(chunk.KindOf(i));
      for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
        text += "|" + chunk.rows.GetValue(column, i).ToString();
      }
      rows.push_back(text);
    }
  }
  return rows;
}

std::unique_ptr<ScratchFile> MakeFile(SystemCallFault fault = nullptr) {
  return ScratchFile::Create(std::filesystem::temp_directory_path(), std::move(fault));
}

}  // namespace

TEST_CASE("Rows come back from a spool as they went into it") {
  std::random_device device;
  uint32_t seed = device();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 12; round++) {
    auto types = round % 4 == 3 ? duckdb::vector<LogicalType>() : kTypes;
    idx_t chunk_rows = idx_t(64) << random() % 6;
    ChangeSpool spool(MakeFile());
    ChangeBuffer spooled(types, chunk_rows), other(types, chunk_rows), kept(types, chunk_rows);
    for (int turn = 0; turn < 3; turn++) {
      spooled.SetSpool(&spool, random() % 3000);
      other.SetSpool(&spool, random() % 3000);
      for (auto chunks = random() % 40; chunks > 0; chunks--) {
        auto made = RandomChunk(random, types);
        ChangeChunk& chunk = *made;
        other.Append(chunk, nullptr, chunk.size());
        SelectionVector some(kChunkRows);
        idx_t count = 0;
        for (idx_t i = 0; i < chunk.size(); i++) {
          if (random() % 2) some.set_index(count++, i);
        }
        bool all = random() % 2;
        for (ChangeBuffer* to : {&spooled, &kept}) {
          to->Append(chunk, all ? nullptr : &some, all ? chunk.size() : count);
        }
      }
      CHECK(spooled.Rows() == kept.Rows());
      CHECK(RowsOf(spooled) == RowsOf(kept));
      CHECK(RowsOf(spooled) == RowsOf(kept));  // Once more.
      spooled.Clear();
      kept.Clear();
      CHECK(RowsOf(other).size() == other.Rows());
      other.Free();
    }
  }
}

TEST_CASE("Rows that are appended while others are read stay where they are") {
  std::mt19937 random(5);
  ChangeSpool spool(MakeFile());
  ChangeBuffer buffer(kTypes, 64), kept(kTypes, 64);
  buffer.SetSpool(&spool, 64);
  for (int i = 0; i < 10; i++) {
    auto chunk = RandomChunk(random, kTypes);
    for (ChangeBuffer* to : {&buffer, &kept}) to->Append(*chunk, nullptr, chunk->size());
  }
  idx_t chunks = buffer.Chunks();
  (void)buffer.Chunk(chunks - 1);
  for (int i = 0; i < 10; i++) {
    auto chunk = RandomChunk(random, kTypes);
    for (ChangeBuffer* to : {&buffer, &kept}) to->Append(*chunk, nullptr, chunk->size());
  }
  CHECK(buffer.Chunks() > chunks);
  CHECK(RowsOf(buffer) == RowsOf(kept));
}

TEST_CASE("A spool that cannot be written or read is an error that names its folder") {
  for (std::string call : {"pwrite", "pread"}) {
    CAPTURE(call);
    ChangeSpool spool(MakeFile([&](std::string_view made, auto&&...) { return made == call; }));
    ChangeBuffer buffer({LogicalType::BIGINT}, 64);
    buffer.SetSpool(&spool, 64);
    ChangeChunk chunk;
    chunk.Initialize({LogicalType::BIGINT});
    for (idx_t i = 0; i < 200; i++) chunk.rows.SetValue(0, i, Value::BIGINT(7));
    chunk.rows.SetCardinality(200);
    std::string error;
    try {
      buffer.Append(chunk, nullptr, 200);
      (void)buffer.Chunk(0);
    } catch (const Error& failure) {
      error = failure.text();
    }
    CHECK(error.find("'" + std::filesystem::temp_directory_path().string()) != std::string::npos);
    CHECK(error.find("make room there") != std::string::npos);
  }
}

TEST_CASE("Nested values stay in memory") {
  CHECK(ChangeSpool::Takes(kTypes));
  CHECK(!ChangeSpool::Takes({LogicalType::LIST(LogicalType::BIGINT)}));
}

}  // namespace millrace
