// feed_connector.h - tables whose changes a test file writes and reads: 'connector' = 'feed'.
//
// Every `feed` block is one step of one history, shared by all feed tables. The history lives in
// the runner and outlives a crashed session, as a Kafka topic would. Written to, a feed table
// records the changes it gets, step by step, and drops steps it has seen: a transactional sink.
#pragma once

#include <mutex>
#include <set>

#include "change_rows.h"
#include "stream/connector.h"

namespace millrace {

/// The outside world of one test file.
/// Threads: safe.
class FeedHistory {
 public:
  struct Block {
    std::string table;
    std::vector<ChangeRow> rows;
  };

  void Append(Block block);
  size_t size() const;
  /// Blocks from `begin` on, at most `limit`.
  std::vector<Block> Blocks(size_t begin, size_t limit) const;

  /// What jobs wrote to `table`.
  void Record(const std::string& table, int64_t step, const std::vector<ChangeRow>& rows);
  std::optional<int64_t> LastStep(const std::string& table) const;
  std::vector<ChangeRow> Written(const std::string& table) const;
  bool IsTarget(const std::string& table) const;
  void AddTarget(const std::string& table);

 private:
  mutable std::mutex mutex_;
  std::vector<Block> blocks_;
  std::map<std::string, std::vector<ChangeRow>> written_;
  std::map<std::string, int64_t> last_steps_;
  std::set<std::string> targets_;
};

/// `'changelog' = 'full' | 'append' | 'upsert'` says what a source's rows may be trusted with.
std::unique_ptr<Connector> MakeFeedConnector(FeedHistory& history);

}  // namespace millrace
