// Goal: what a row costs to hash to its bucket. Method: one full chunk, again and again.
#include <chrono>
#include <cstdio>

#include "duckdb/common/allocator.hpp"
#include "io/random.h"
#include "meta/binary_row.h"

using namespace millrace;

int main() {
  Random random(1);
  for (const char* text : {"BIGINT", "INT", "DECIMAL(18, 2)", "STRING", "DECIMAL(38, 2)"}) {
    DataType type = ParseDataType(text);
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), {type.ToDuck()});
    for (idx_t i = 0; i < kChunkRows; i++) {
      auto number = static_cast<int64_t>(random.Next() % 1'000'000);
      chunk.SetValue(0, i, Value::BIGINT(number).DefaultCastAs(type.ToDuck()));
    }
    chunk.SetCardinality(kChunkRows);
    std::vector<int32_t> hashes;
    constexpr int kRounds = 2000;
    auto start = std::chrono::steady_clock::now();
    int64_t sum = 0;
    for (int i = 0; i < kRounds; i++) {
      HashRows({type}, chunk, {0}, hashes);
      sum += hashes[i % kChunkRows];
    }
    std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    std::printf("%-15s %6.2f ns a row (%ld)\n", text, took.count() / kRounds / kChunkRows, sum);
  }
}
