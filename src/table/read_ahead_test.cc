// Goal: what is read ahead comes whole and in order, in the caller's thread, and errors and
// early ends leave nothing running. Method: readers that count, with any number of threads.
#include "table/read_ahead.h"

#include <doctest/doctest.h>

#include <atomic>
#include <random>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kRowsOfReader = 1'000'000;

/// Gives the numbers from `first` on, in chunks of `sizes`; fails after them when told to.
ChangePull Counting(int64_t first, std::vector<idx_t> sizes, bool fails, std::atomic<int>& open) {
  struct Reader {
    explicit Reader(std::atomic<int>& count) : open(count) { open++; }
    ~Reader() { open--; }
    std::atomic<int>& open;
    int64_t next = 0;
    size_t chunk = 0;
  };
  auto reader = std::make_shared<Reader>(open);
  reader->next = first;
  return [reader, sizes, fails](ChangeChunk& chunk) {
    if (reader->chunk == sizes.size()) {
      if (fails) Throw(ErrorCode::kCorrupt, "a damaged file");
      return false;
    }
    idx_t size = sizes[reader->chunk++];
    for (idx_t i = 0; i < size; i++, reader->next++) {
      duckdb::FlatVector::GetData<int64_t>(chunk.rows.data[0])[i] = reader->next;
      chunk.rows.SetValue(1, i,
                          Value("a text that is not inlined " + std::to_string(reader->next)));
      chunk.kinds.push_back(reader->next % 3 == 0 ? RowKind::kDelete : RowKind::kInsert);
    }
    chunk.rows.SetCardinality(size);
    return true;
  };
}

}  // namespace

TEST_CASE("readers are read ahead, whole and in order") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (size_t threads : {0, 1, 2, 5}) {
    for (bool fails : {false, true}) {
      CAPTURE(threads);
      size_t count = random() % 9 + 1;
      size_t failing = fails ? random() % count : count;
      std::vector<std::vector<idx_t>> sizes(count);
      for (auto& chunks : sizes) {
        chunks.resize(random() % 150);
        for (idx_t& size : chunks) size = random() % 40 + 1;
      }
      std::atomic<int> open{0};
      std::vector<int64_t> seen, expected;
      auto read = [&] {
        ReadAhead(
            count,
            [&](size_t number) {
              return Counting(static_cast<int64_t>(number) * kRowsOfReader, sizes[number],
                              number == failing, open);
            },
            {{LogicalType::BIGINT, LogicalType::VARCHAR}, threads},
            [&](ChangeChunk& chunk) {
              for (idx_t i = 0; i < chunk.size(); i++) {
                int64_t number = chunk.rows.GetValue(0, i).GetValue<int64_t>();
                seen.push_back(number);
                REQUIRE(chunk.rows.GetValue(1, i).ToString() ==
                        "a text that is not inlined " + std::to_string(number));
                REQUIRE(chunk.KindOf(i) == (number % 3 == 0 ? RowKind::kDelete : RowKind::kInsert));
              }
            });
      };
      if (fails) {
        CHECK_THROWS_AS(read(), Error);
      } else {
        read();
      }
      for (size_t number = 0; number < std::min(count, failing + 1); number++) {
        int64_t next = static_cast<int64_t>(number) * kRowsOfReader;
        for (idx_t size : sizes[number]) {
          for (idx_t i = 0; i < size; i++) expected.push_back(next++);
        }
      }
      CHECK(seen == expected);
      CHECK(open == 0);
    }
  }
}

TEST_CASE("who stops in the middle leaves nothing running") {
  std::atomic<int> open{0};
  auto stop = [](ChangeChunk&) { Throw(ErrorCode::kCancelled, "enough"); };
  CHECK_THROWS_AS(ReadAhead(
                      4,
                      [&](size_t number) {
                        return Counting(static_cast<int64_t>(number), std::vector<idx_t>(500, 10),
                                        false, open);
                      },
                      {{LogicalType::BIGINT, LogicalType::VARCHAR}, 3}, stop),
                  Error);
  CHECK(open == 0);
}

}  // namespace millrace
