// avro_seeds.h - Avro files to begin with: as we write them, and as others do, with blocks that are
// not compressed and nothing that tells their length, so that damage comes through to the rows.
#pragma once

#include "fuzz_target.h"
#include "meta/avro.h"
#include "meta/binary_row.h"

namespace millrace {

/// The same rows as another writer has them.
inline std::string InCodec(const std::string& avro, const std::string& codec) {
  std::string name = "a seed";
  AvroInput head(std::string_view(avro).substr(4), name);
  std::string schema;
  for (int64_t left = head.Long(); left > 0; left--) {
    std::string key(head.Bytes());
    std::string value(head.Bytes());
    if (key == "avro.schema") schema = value;
  }
  AvroFileWriter writer(schema, codec);
  AvroFileReader reader(avro, name);
  int64_t rows = 0;
  while (auto block = reader.NextBlock(rows)) {
    writer.row() += *block;
    for (int64_t i = 0; i < rows; i++) writer.EndRow();
  }
  std::string made = writer.Finish();
  made[made.find("millrace.header")] = '-';  // A key that no reader knows.
  return made;
}

inline std::vector<std::string> InAllCodecs(const std::string& avro) {
  return {InCodec(avro, "null"), InCodec(avro, "null"), InCodec(avro, "deflate"), avro};
}

inline RowBytes SeedRow(int64_t number, const std::string& text) {
  return EncodeRow({ParseDataType("BIGINT"), ParseDataType("STRING")},
                   {Value::BIGINT(number), Value(text)});
}

/// A data file with everything that one can have.
inline DataFileMeta SeedFile(int64_t number) {
  DataFileMeta file;
  file.file_name = fmt::format("data-0b8f-{}.parquet", number);
  file.file_size = 12345 + number;
  file.row_count = 678;
  file.min_key = SeedRow(number, "a");
  file.max_key = SeedRow(number + 9, "a rather long text");
  file.key_stats = {file.min_key, file.max_key, {0, 3}};
  file.value_stats = {file.min_key, file.max_key, {std::nullopt, 1}};
  file.max_sequence_number = 677;
  file.schema_id = 1;
  file.level = 5;
  file.extra_files = {file.file_name + ".index"};
  file.creation_time_ms = 1'700'000'000'000;
  file.delete_row_count = 2;
  file.embedded_index = std::string("\0\1index", 7);
  file.file_source = FileSource::kCompact;
  file.value_stats_columns = {{"id", "name"}};
  file.external_path = "file:/elsewhere/data";
  file.first_row_id = 7;
  file.write_columns = {{"id"}};
  return file;
}

}  // namespace millrace
