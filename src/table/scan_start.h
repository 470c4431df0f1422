// scan_start.h - where a read of a table begins: the options `scan.*` and `incremental-*`,
// resolved.
//
// Names and meaning are Paimon's (CoreOptions.java, AbstractDataTableScan.java,
// TimeTravelUtil.java): in batch they choose a state or an interval of the history, in streaming
// the point from which changes are followed. What contradicts itself is an error that names both
// options.
#pragma once

#include "table/table_state.h"

namespace millrace {

/// An option of ours: the time zone in which `scan.timestamp` and the like are told. UTC without
/// it.
inline constexpr const char* kTimeZoneOption = "millrace.local-time-zone";

/// What changed after `after` up to and with `upto`.
struct IncrementalRange {
  enum class Mode : uint8_t {
    kDelta,      // Files that APPEND snapshots added.
    kChangelog,  // Their changelog files.
    kDiff,       // The two states compared.
  };
  Mode mode = Mode::kDelta;
  int64_t after = 0;
  int64_t upto = 0;
  std::optional<Snapshot> from, to;  // kDiff: of tags, so perhaps expired.
};

struct ScanStart {
  enum class Kind : uint8_t {
    kNewest,       // The newest state; then what follows.
    kNewestOnly,   // Streaming: what follows the newest state, not that itself.
    kState,        // `state`; then what follows.
    kChanges,      // Streaming: the changes of snapshot `next` and of those after it.
    kIncremental,  // Batch: `incremental`.
    kNothing,      // Batch: an empty interval.
  };
  Kind kind = Kind::kNewest;
  std::optional<Snapshot> state;
  int64_t next = 0;
  IncrementalRange incremental;
  /// Of the first state only files that were made then or later.
  std::optional<int64_t> created_since_ms;
  /// Streaming: ends before the first snapshot whose watermark is greater.
  std::optional<int64_t> bounded_watermark;
};

/// Throws: Error(kInvalid) for options that contradict each other or cannot be read;
/// Error(kNotFound) for a snapshot, tag or time that is not there, saying which are.
ScanStart ResolveScanStart(const TableState& table, bool streaming);

/// The oldest snapshot whose changes can still be read: of the history, or a changelog that
/// outlived its snapshot.
std::optional<int64_t> EarliestChange(const TableState& table);

/// The state that time-travel options name, whose schema is the one to read under; nullopt when
/// there are none. Throws: as ResolveScanStart.
std::optional<Snapshot> TravelTo(const TableState& table);

/// Whether any of these options chooses what is read.
bool HasScanOptions(const Options& options);
/// The same options with those that choose what is read switched off, also when they are stored
/// with the table: for writers.
Options WithoutScanOptions(Options options);

/// "2024-01-31", "2024-01-31 12:30:00[.123]" in `zone` ("" = UTC) as Unix milliseconds. `what`
/// names it in errors. Throws: Error(kInvalid).
int64_t ParseTimestampMs(duckdb::DatabaseInstance& database, const std::string& what,
                         const std::string& text, const std::string& zone);

}  // namespace millrace
