// codec_fixture.h - rows as text for the codec tests: random ones, encoded, decoded, compared.
#pragma once

#include <algorithm>
#include <random>

#include "format/codec/codec.h"

namespace millrace {

/// Rows as text: the row kind, then the cells.
using RowSet = std::vector<std::vector<std::string>>;

inline std::vector<DataField> Fields(const std::string& columns) {
  return ParseDataType("ROW<" + columns + ">").fields;
}

inline std::vector<idx_t> AllOf(const std::vector<DataField>& fields) {
  std::vector<idx_t> all;
  for (idx_t i = 0; i < fields.size(); i++) all.push_back(i);
  return all;
}

inline void Collect(ChangeChunk& chunk, RowSet& rows) {
  for (idx_t row = 0; row < chunk.size(); row++) {
    std::vector<std::string> cells = {RowKindName(chunk.KindOf(row))};
    for (idx_t i = 0; i < chunk.rows.ColumnCount(); i++) {
      cells.push_back(chunk.rows.GetValue(i, row).ToString());
    }
    rows.push_back(std::move(cells));
  }
}

inline RowSet DecodeRows(const std::string& format, const RecordFormat& record,
                         const Options& options, std::string bytes, int64_t* skipped = nullptr) {
  auto decoder = MakeDecoder(format, record, options);
  decoder->SetOrigin("the test", 0);
  idx_t size = bytes.size();
  bytes.append(kDecodePadding, ' ');
  ChangeChunk chunk;
  chunk.Initialize(record.WantedTypes());
  RowSet rows;
  for (idx_t at = 0; at < size;) {
    at += decoder->Decode(std::string_view(bytes).substr(at, size - at), true, chunk);
    Collect(chunk, rows);
    chunk.Reset();
  }
  if (skipped) *skipped = decoder->Skipped();
  return rows;
}

/// Decodes in pieces of random length.
inline RowSet DecodeAll(const std::string& format, const std::vector<DataField>& fields,
                        const Options& options, std::string bytes, std::mt19937_64& random) {
  RecordFormat record{fields, AllOf(fields)};
  auto decoder = MakeDecoder(format, record, options);
  idx_t size = bytes.size();
  bytes.append(kDecodePadding, ' ');
  ChangeChunk chunk;
  chunk.Initialize(record.WantedTypes());
  RowSet rows;
  for (idx_t at = 0, end = 0; at < size;) {
    end = std::min<idx_t>(size, std::max(at, end) + random() % 5000);
    at += decoder->Decode(std::string_view(bytes).substr(at, end - at), end == size, chunk);
    if (random() % 2 || chunk.size() + 2 > kChunkRows) {
      Collect(chunk, rows);
      chunk.Reset();
    }
  }
  Collect(chunk, rows);
  return rows;
}

inline std::string RandomText(std::mt19937_64& random) {
  static const char* kPieces[] = {"a", "Zürich", "\"",   ",",   "|", "\\", "\n",
                                  " ", "#",      "日本", "NIL", "'", "\t"};
  std::string text;
  for (int i = random() % 8; i > 0; i--) text += kPieces[random() % std::size(kPieces)];
  return text == "\\" ? "" : text;
}

inline Value RandomValue(std::mt19937_64& random, const DataType& type, bool may_be_null = true) {
  LogicalType duck = type.ToDuck();
  if (may_be_null && random() % 7 == 0) return Value(duck);
  auto number = static_cast<int64_t>(random()) >> (random() % 64);
  auto from_text = [&](const std::string& text) { return Value(text).DefaultCastAs(duck); };
  switch (type.root) {
    case TypeRoot::kBoolean:
      return Value::BOOLEAN(random() % 2);
    case TypeRoot::kTinyInt:
      return Value::TINYINT(static_cast<int8_t>(number));
    case TypeRoot::kSmallInt:
      return Value::SMALLINT(static_cast<int16_t>(number));
    case TypeRoot::kInt:
      return Value::INTEGER(static_cast<int32_t>(number));
    case TypeRoot::kBigInt:
      return Value::BIGINT(number);
    case TypeRoot::kFloat:
      return Value::FLOAT(static_cast<float>(number) / 1024);
    case TypeRoot::kDouble:
      return Value::DOUBLE(static_cast<double>(number) / 4096);
    case TypeRoot::kDecimal: {
      std::string digits = random() % 2 ? "-" : "";
      for (int i = 0; i < type.length; i++) {
        if (i == type.length - type.scale) digits += ".";
        digits += static_cast<char>('0' + random() % 10);
      }
      return from_text(digits);
    }
    case TypeRoot::kChar:
    case TypeRoot::kVarChar:
      return Value(RandomText(random));
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary: {
      std::string bytes;
      for (int i = random() % 9 + 1; i > 0; i--) bytes += static_cast<char>(random());
      return Value::BLOB(duckdb::const_data_ptr_cast(bytes.data()), bytes.size());
    }
    case TypeRoot::kDate:
      return Value::DATE(duckdb::date_t(static_cast<int32_t>(random() % 60000) - 30000));
    case TypeRoot::kTime:
      return Value::TIME(duckdb::dtime_t(static_cast<int64_t>(random() % 86400000) * 1000));
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz: {
      int64_t millis = static_cast<int64_t>(random() % 4'000'000'000'000) - 1'000'000'000'000;
      if (type.length > 6)
        return Value::TIMESTAMPNS(duckdb::timestamp_ns_t(millis * 1'000'000 + 123457));
      int64_t micros = millis * 1000 + (type.length == 6 ? random() % 1000 : 0);
      if (type.root == TypeRoot::kTimestampLtz)
        return Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(micros));
      return Value::TIMESTAMP(duckdb::timestamp_t(micros));
    }
    case TypeRoot::kArray: {
      duckdb::vector<Value> elements;
      for (int i = random() % 4 + 1; i > 0; i--)
        elements.push_back(RandomValue(random, type.children[0], type.children[0].nullable));
      return Value::LIST(type.children[0].ToDuck(), elements);
    }
    case TypeRoot::kMap: {
      duckdb::vector<Value> keys, values;
      for (int i = random() % 4; i > 0; i--) {
        keys.push_back(Value("key " + std::to_string(i)));
        values.push_back(RandomValue(random, type.children[1]));
      }
      return Value::MAP(type.children[0].ToDuck(), type.children[1].ToDuck(), keys, values);
    }
    case TypeRoot::kRow: {
      duckdb::child_list_t<Value> members;
      for (const DataField& field : type.fields)
        members.emplace_back(field.name, RandomValue(random, field.type));
      return Value::STRUCT(std::move(members));
    }
    default:
      return Value(duck);
  }
}

/// Every atomic type in random order, and nested ones.
inline std::vector<DataField> RandomFields(std::mt19937_64& random, bool nested) {
  std::vector<std::string> types = {"BOOLEAN",
                                    "TINYINT",
                                    "SMALLINT",
                                    "INT",
                                    "BIGINT",
                                    "FLOAT",
                                    "DOUBLE",
                                    "DECIMAL(4, 2)",
                                    "DECIMAL(9, 0)",
                                    "DECIMAL(18, 2)",
                                    "DECIMAL(38, 10)",
                                    "CHAR(10)",
                                    "STRING",
                                    "BYTES",
                                    "DATE",
                                    "TIME(3)",
                                    "TIMESTAMP(3)",
                                    "TIMESTAMP(6)",
                                    "TIMESTAMP(9)",
                                    "TIMESTAMP_LTZ(3)",
                                    "ARRAY<INT NOT NULL>"};
  if (nested) {
    types.insert(types.end(), {"ARRAY<STRING>", "MAP<STRING, DECIMAL(10, 3)>",
                               "ROW<a INT, b STRING, c ARRAY<BIGINT>>",
                               "ARRAY<ROW<x DOUBLE, y MAP<STRING, INT>>>"});
  }
  std::shuffle(types.begin(), types.end(), random);
  std::string columns;
  for (size_t i = 0; i < types.size(); i++) {
    columns += (i ? ", c" : "c") + std::to_string(i) + " " + types[i];
  }
  return Fields(columns);
}

using ChunkList = std::vector<std::unique_ptr<ChangeChunk>>;

/// Random rows, in chunks of random size, and as text.
inline RowSet RandomRows(std::mt19937_64& random, const std::vector<DataField>& fields, idx_t count,
                         bool kinds, ChunkList& chunks) {
  RowSet rows;
  RecordFormat record{fields, AllOf(fields)};
  while (count > 0) {
    auto chunk = std::make_unique<ChangeChunk>();
    chunk->Initialize(record.WantedTypes());
    idx_t size = std::min<idx_t>(count, random() % 300 + 1);
    for (idx_t row = 0; row < size; row++) {
      for (idx_t i = 0; i < fields.size(); i++) {
        chunk->rows.SetValue(i, row, RandomValue(random, fields[i].type));
      }
      if (kinds) chunk->kinds.push_back(static_cast<RowKind>(random() % 4));
    }
    chunk->rows.SetCardinality(size);
    Collect(*chunk, rows);
    chunks.push_back(std::move(chunk));
    count -= size;
  }
  return rows;
}

inline std::string EncodeAll(const std::string& format, const std::vector<DataField>& fields,
                             const Options& options, ChunkList& chunks) {
  auto encoder = MakeEncoder(format, fields, options);
  std::string bytes = encoder->Header();
  for (auto& chunk : chunks) encoder->Encode(*chunk, bytes);
  return bytes;
}

/// A record of `format` whose fields are all NULL.
inline std::string GoodRecord(const std::string& format, const std::vector<DataField>& fields) {
  if (format == "csv") return std::string(fields.size() - 1, ',') + "\n";
  if (format == "json") return "{}\n";
  return "{\"before\":null,\"after\":{},\"op\":\"c\"}\n";
}

}  // namespace millrace
