// Batches of a log: the file as a reader and a writer look at it, and the rows by themselves. The
// first byte says whether the checksums of the first batch are made to fit.
#include "base/bytes.h"
#include "duckdb/common/allocator.hpp"
#include "fuzz_target.h"
#include "io/memory_file_system.h"
#include "table/log/column_codec.h"
#include "table/log/table_log.h"

namespace millrace {

namespace {

constexpr const char* kPath = "t/log/log-0";
constexpr size_t kHeaderBytes = 48;

const std::vector<DataType>& Types() {
  static const auto* types = new std::vector<DataType>{
      ParseDataType("BIGINT"),           ParseDataType("STRING"),
      ParseDataType("DECIMAL(38, 10)"),  ParseDataType("ARRAY<INT>"),
      ParseDataType("MAP<STRING, INT>"), ParseDataType("ROW<a INT, b ARRAY<STRING>>")};
  return *types;
}

duckdb::vector<LogicalType> DuckTypes() {
  duckdb::vector<LogicalType> types;
  for (const DataType& type : Types()) types.push_back(type.ToDuck());
  return types;
}

void FillChunk(ChangeChunk& chunk) {
  chunk.Initialize(DuckTypes());
  for (idx_t row = 0; row < 20; row++) {
    auto number = static_cast<int64_t>(row);
    std::vector<std::string> texts = {std::to_string(number),
                                      "text " + std::to_string(number),
                                      std::to_string(number) + ".5",
                                      "[1, 2, NULL]",
                                      "{a=1, b=NULL}",
                                      "{'a': 1, 'b': [x, y]}"};
    for (idx_t c = 0; c < texts.size(); c++) {
      LogicalType type = chunk.rows.data[c].GetType();
      bool is_null = (row + c) % 5 == 0;
      chunk.rows.SetValue(c, row, is_null ? Value(type) : Value(texts[c]).DefaultCastAs(type));
    }
    chunk.kinds.push_back(static_cast<RowKind>(row % 4));
  }
  chunk.rows.SetCardinality(20);
}

/// Checksums of the batch at the front, as far as its header makes sense.
void MakeFit(std::string& bytes) {
  if (bytes.size() < kHeaderBytes) return;
  size_t job = LoadLittle<uint16_t>(bytes.data() + 6);
  if (bytes.size() < kHeaderBytes + job) return;
  StoreLittle<uint32_t>(bytes.data() + 44, 0);
  StoreLittle<uint32_t>(bytes.data() + 44,
                        Crc32(std::string_view(bytes).substr(0, kHeaderBytes + job)));
  auto body = LoadLittle<int64_t>(bytes.data() + 16);
  auto left = static_cast<int64_t>(bytes.size() - kHeaderBytes - job) - 4;
  if (body < 0 || body > left) return;
  size_t covered = kHeaderBytes + job + static_cast<size_t>(body);
  StoreLittle<uint32_t>(bytes.data() + covered, Crc32(std::string_view(bytes).substr(0, covered)));
}

void Look(ChangeChunk& chunk) {
  Vector hashes(LogicalType::HASH);  // Of every byte. A Value would refuse text that is not UTF-8.
  chunk.rows.Hash(hashes);
}

void ReadLog(const std::string& bytes) {
  MemoryFileSystem disk;
  disk.Overwrite(kPath, bytes);
  AllowErrors([&] {
    LogReader reader(disk, "t", Types(), 0);
    while (reader.Peek()) reader.Read({0, 1, 2, 3, 4, 5}, Look);
  });
  AllowErrors([&] { (void)LogWriter(disk, "t", Types()).EndOffset(); });
}

void ReadBlock(std::string_view bytes) {
  for (const std::vector<idx_t>& columns :
       {std::vector<idx_t>{0, 1, 2, 3, 4, 5}, std::vector<idx_t>{4}}) {
    duckdb::vector<LogicalType> all = DuckTypes(), types;
    for (idx_t c : columns) types.push_back(all[c]);
    ChangeChunk chunk;
    chunk.Initialize(types);
    std::string_view rest = bytes;
    if (DecodeBlock(rest, columns, chunk)) Look(chunk);
  }
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  ChangeChunk chunk;
  FillChunk(chunk);
  std::string block;
  EncodeBlock(chunk, block);
  MemoryFileSystem disk;
  LogWriter writer(disk, "t", Types());
  writer.Add(chunk);
  writer.EndStep({"job", 1, 1'700'000'000'000, false, true});
  writer.Add(chunk);
  writer.EndStep({"job", 2, 1'700'000'000'001, true, false});
  std::string log = disk.Read(kPath);
  return {"a" + log, "b" + log, "c" + block, "c" + block};
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  std::string bytes(FuzzBytes(data + 1, size - 1));
  if (data[0] == 'c') {
    ReadBlock(bytes);
    return 0;
  }
  if (data[0] % 2 != 0) MakeFit(bytes);
  ReadLog(bytes);
  return 0;
}
