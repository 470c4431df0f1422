// codec_bench.cc - rows and bytes a second of each decoder and encoder, one thread.
#include <chrono>
#include <cstdio>

#include "format/codec/codec_fixture.h"

using namespace millrace;

int main() {
  std::vector<DataField> fields =
      Fields("id BIGINT, account INT, kind STRING, amount DECIMAL(18, 2), at TIMESTAMP(3)");
  RecordFormat record{fields, AllOf(fields)};
  ChangeChunk chunk;
  chunk.Initialize(record.WantedTypes());
  for (idx_t row = 0; row < kChunkRows; row++) {
    chunk.rows.SetValue(0, row, Value::BIGINT(static_cast<int64_t>(row) * 1000003));
    chunk.rows.SetValue(1, row, Value::INTEGER(static_cast<int32_t>(row * 7919)));
    chunk.rows.SetValue(2, row, Value(row % 2 ? "deposit" : "loan purchase"));
    chunk.rows.SetValue(3, row, Value::DECIMAL(static_cast<int64_t>(row * 12345), 18, 2));
    chunk.rows.SetValue(
        4, row,
        Value::TIMESTAMP(duckdb::timestamp_t(1'700'000'000'000'000 + static_cast<int64_t>(row))));
  }
  chunk.rows.SetCardinality(kChunkRows);
  auto seconds = [](auto start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (const std::string& format : CodecNames()) {
    constexpr int kRounds = 300;
    double rows = static_cast<double>(kRounds * kChunkRows);
    auto encoder = MakeEncoder(format, fields, {});
    std::string bytes;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; i++) encoder->Encode(chunk, bytes);
    double encode = seconds(start);
    idx_t size = bytes.size();
    bytes.append(kDecodePadding, ' ');
    auto decoder = MakeDecoder(format, record, {});
    ChangeChunk out;
    out.Initialize(record.WantedTypes());
    start = std::chrono::steady_clock::now();
    for (idx_t at = 0; at < size;) {
      out.Reset();
      at += decoder->Decode(std::string_view(bytes).substr(at, size - at), true, out);
    }
    double decode = seconds(start);
    std::printf("%-14s encode %6.2f M rows/s, decode %6.2f M rows/s, %6.1f MB/s\n", format.c_str(),
                rows / encode / 1e6, rows / decode / 1e6, static_cast<double>(size) / decode / 1e6);
  }
}
