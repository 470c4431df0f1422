// source.h - an input of a job: tables that change together, read in steps that end at consistent
// cuts.
//
// Balances and transactions are two tables; a prefix of each on its own does not balance. So one
// Source serves all tables of a job that share a history (a database's change stream, a generator,
// a commit group of lake tables), and every Read ends where all of them agree
// (docs/ARCHITECTURE.md#cuts).
#pragma once

#include "base/change_chunk.h"
#include "meta/table_definition.h"

namespace millrace {

/// One table that a job reads from a source.
struct SourceTable {
  std::shared_ptr<const TableDefinition>
      definition;              // With the options of the query's hint merged in.
  std::vector<idx_t> columns;  // Physical columns wanted, in the order of the chunks.
};

/// The connector of what is no table: a view that another pipeline of the job computes.
inline constexpr const char* kSharedView = "shared view";
inline bool IsSharedView(const TableDefinition& definition) {
  return definition.Connector() == kSharedView;
}

enum class SourceStatus : uint8_t {
  kProgress,  // Moved on, perhaps without rows; there may be more at once.
  kIdle,      // Nothing new now.
  kEnd,       // A bounded source has been read to its end (rows may have come with it).
};

struct ReadLimit {
  idx_t max_rows = 100'000;          // A wish: a transaction is never cut.
  std::optional<std::string> until;  // Replay: read exactly to this Position().
};

/// Reads the tables of one history. Deterministic: from equal positions, `until` gives equal rows
/// in equal order; recovery stands on it.
///
/// Threads: owned by its job. Throws: Error naming file/offset and field; the position stays at the
/// last whole Read.
class Source {
 public:
  virtual ~Source() = default;
  /// What the stream of table `index` may be trusted with.
  virtual ChangelogType Changelog(idx_t index) const = 0;
  /// The job relies on changes of this type from here on; should the table break the promise, Read
  /// throws.
  virtual void RelyOn(idx_t /*index*/, ChangelogType /*type*/) {}
  virtual bool IsBounded() const = 0;
  /// Nothing has ever been written to its tables, and what Changelog says may still get better.
  virtual bool AwaitsFirstData() const { return false; }
  /// Reads one step. `receive(table index, chunk)`: chunks hold the wanted columns.
  virtual SourceStatus Read(const ReadLimit& limit,
                            const std::function<void(idx_t, ChangeChunk&)>& receive) = 0;
  /// Where the next Read starts: opaque text, stored in checkpoints and the step journal.
  virtual std::string Position() const = 0;
  /// Goes to a position that an equal source has told.
  virtual void Seek(const std::string& position) = 0;
  /// Goes to where an equal source began that has come to `position`: from there, Read with `until`
  /// gives all that it gave. REQUIRES: nothing was read yet. Throws: Error(kUnsupported) when that
  /// cannot be read again, saying why.
  virtual void SeekBeginOf(const std::string& /*position*/) {}
  /// A checkpoint holds everything up to `position` for good (without checkpoints: it was shown).
  virtual void Consumed(const std::string& /*position*/) {}
  /// When the newest row read came into being (Unix ms; 0 = unknown): for lag.
  virtual int64_t EventTimeMs() const { return 0; }
  /// Records skipped by `ignore-parse-errors`.
  virtual int64_t SkippedRecords() const { return 0; }
};

}  // namespace millrace
