// number_source.h - what the tests of jobs read: numbers that come when the test lets them.
#pragma once

#include <doctest/doctest.h>

#include <atomic>

#include "stream/job.h"

namespace millrace {

/// Numbers 0 .. total - 1, of which `available` have come.
struct Numbers {
  int64_t total = 0;
  std::atomic<int64_t> available{0};
};

class NumberSource : public Source {
 public:
  explicit NumberSource(Numbers& numbers) : numbers_(numbers) {}
  ChangelogType Changelog(idx_t) const override { return ChangelogType::kAppend; }
  bool IsBounded() const override { return true; }
  SourceStatus Read(const ReadLimit& limit,
                    const std::function<void(idx_t, ChangeChunk&)>& receive) override {
    int64_t to =
        std::min<int64_t>(next_ + static_cast<int64_t>(limit.max_rows), numbers_.available);
    if (limit.until) to = std::stoll(*limit.until);
    ChangeChunk chunk;
    chunk.Initialize({LogicalType::BIGINT, LogicalType::VARCHAR, LogicalType::VARCHAR});
    bool moved = next_ < to;
    for (; next_ < to; next_++) {
      chunk.rows.SetValue(0, chunk.size(), Value::BIGINT(next_));
      chunk.rows.SetValue(1, chunk.size(), Value("p" + std::to_string(next_ % 3)));
      chunk.rows.SetValue(2, chunk.size(), Value("v"));
      chunk.rows.SetCardinality(chunk.size() + 1);
      if (chunk.size() < kChunkRows) continue;
      receive(0, chunk);
      chunk.Reset();
    }
    if (chunk.size() > 0) receive(0, chunk);
    if (next_ == numbers_.total) return SourceStatus::kEnd;
    return moved ? SourceStatus::kProgress : SourceStatus::kIdle;
  }
  std::string Position() const override { return std::to_string(next_); }
  void Seek(const std::string& position) override { next_ = std::stoll(position); }
  void Consumed(const std::string& position) override { consumed = std::stoll(position); }
  int64_t consumed = 0;

 private:
  Numbers& numbers_;
  int64_t next_ = 0;
};

class NumberConnector : public Connector {
 public:
  explicit NumberConnector(Numbers& numbers, std::string name = "numbers")
      : numbers_(numbers), name_(std::move(name)) {}
  std::string Name() const override { return name_; }
  std::vector<OptionInfo> KnownOptions() const override { return {}; }
  void Validate(const TableDefinition&) const override {}
  bool CanRead() const override { return true; }
  std::unique_ptr<Source> MakeSource(Environment&, const std::vector<SourceTable>&,
                                     bool) const override {
    return std::make_unique<NumberSource>(numbers_);
  }

 private:
  Numbers& numbers_;
  const std::string name_;
};

inline void AwaitRows(const Job& job, int64_t rows) {
  while (job.Statistics().rows_in < rows && job.State() <= JobState::kRunning) {
    MakeSystemClock()->SleepMs(1);
  }
  CHECK(job.Statistics().rows_in == rows);
}

}  // namespace millrace
