#include "table/scan_start.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "meta/options.h"
#include "table/snapshot_search.h"
#include "table/tag_periods.h"

namespace millrace {

namespace {

using duckdb::StringUtil;

constexpr const char* kMode = "scan.mode";
constexpr const char* kSnapshotId = "scan.snapshot-id";
constexpr const char* kTagName = "scan.tag-name";
constexpr const char* kVersion = "scan.version";
constexpr const char* kWatermark = "scan.watermark";
constexpr const char* kTimestamp = "scan.timestamp";
constexpr const char* kTimestampMillis = "scan.timestamp-millis";
constexpr const char* kFileCreation = "scan.file-creation-time-millis";
constexpr const char* kCreation = "scan.creation-time-millis";
constexpr const char* kBetween = "incremental-between";
constexpr const char* kBetweenTimestamp = "incremental-between-timestamp";
constexpr const char* kToAutoTag = "incremental-to-auto-tag";

enum class Mode : uint8_t {
  kLatestFull,
  kLatest,
  kCompactedFull,
  kFromTimestamp,
  kFromCreationTimestamp,
  kFromFileCreationTime,
  kFromSnapshot,
  kFromSnapshotFull,
  kIncremental,
};

const std::map<std::string, Mode>& ModeNames() {
  static const std::map<std::string, Mode> names = {
      {"latest-full", Mode::kLatestFull},
      {"full", Mode::kLatestFull},
      {"latest", Mode::kLatest},
      {"compacted-full", Mode::kCompactedFull},
      {"from-timestamp", Mode::kFromTimestamp},
      {"from-creation-timestamp", Mode::kFromCreationTimestamp},
      {"from-file-creation-time", Mode::kFromFileCreationTime},
      {"from-snapshot", Mode::kFromSnapshot},
      {"from-snapshot-full", Mode::kFromSnapshotFull},
      {"incremental", Mode::kIncremental}};
  return names;
}

/// An option that says where to begin, with the modes that it belongs to; the first is the one that
/// it implies.
struct Where {
  const char* key;
  std::vector<Mode> modes;
};

const std::vector<Where>& Wheres() {
  static const std::vector<Where> wheres = {
      {kTimestamp, {Mode::kFromTimestamp}},
      {kTimestampMillis, {Mode::kFromTimestamp}},
      {kSnapshotId, {Mode::kFromSnapshot, Mode::kFromSnapshotFull}},
      {kTagName, {Mode::kFromSnapshot}},
      {kVersion, {Mode::kFromSnapshot}},
      {kWatermark, {Mode::kFromSnapshot}},
      {kFileCreation, {Mode::kFromFileCreationTime}},
      {kCreation, {Mode::kFromCreationTimestamp}},
      {kBetween, {Mode::kIncremental}},
      {kBetweenTimestamp, {Mode::kIncremental}},
      {kToAutoTag, {Mode::kIncremental}}};
  return wheres;
}

bool Belongs(const Where& where, Mode mode) {
  return std::find(where.modes.begin(), where.modes.end(), mode) != where.modes.end();
}

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::pair<std::string, std::string> SplitPair(const std::string& key, const std::string& text) {
  std::vector<std::string> parts = StringUtil::Split(text, ',');
  if (parts.size() != 2) {
    Throw(ErrorCode::kInvalid, "'{}' = '{}': two values with a comma are expected, as '12,20'", key,
          text);
  }
  for (std::string& part : parts) StringUtil::Trim(part);
  return {parts[0], parts[1]};
}

/// Reads the options of one table.
class StartResolver {
 public:
  StartResolver(const TableState& table, bool streaming) : table_(table), streaming_(streaming) {}

  ScanStart Resolve() {
    ChooseMode();
    ScanStart start = FromMode();
    if (Has("scan.bounded.watermark")) start.bounded_watermark = Number("scan.bounded.watermark");
    return start;
  }

  std::optional<Snapshot> Travel() {
    ChooseMode();
    if (mode_ == Mode::kFromTimestamp) return AtTime(TimestampMs());
    if (mode_ != Mode::kFromSnapshot && mode_ != Mode::kFromSnapshotFull) return std::nullopt;
    return NamedState();
  }

 private:
  bool Has(const char* key) const {
    auto found = table_.options.find(key);
    return found != table_.options.end() && !found->second.empty();
  }
  std::string Text(const char* key) const {
    std::string text = GetString(table_.options, key, "");
    StringUtil::Trim(text);
    return text;
  }
  int64_t Number(const char* key) const { return GetInt(table_.options, key, 0); }

  template <typename... Args>
  [[noreturn]] void Fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(code, fmt::format("Reading table '{}': {}", table_.folder,
                                  fmt::format(format, std::forward<Args>(args)...)));
  }

  void ChooseMode() {
    for (const Where& where : Wheres()) {
      if (!Has(where.key)) continue;
      if (where_) {
        Fail(ErrorCode::kInvalid, "'{}' and '{}' both say what to read; give one of them",
             where_->key, where.key);
      }
      where_ = &where;
    }
    std::string name = StringUtil::Lower(Text(kMode));
    if (name.empty() || name == "default") {
      mode_ = where_ ? where_->modes[0] : Mode::kLatestFull;
      return;
    }
    auto found = ModeNames().find(name);
    if (found == ModeNames().end()) {
      std::vector<std::string> known{"default"};
      for (const auto& [text, mode] : ModeNames()) known.push_back(text);
      std::string near = DidYouMean(name, known);
      Fail(ErrorCode::kInvalid, "there is no 'scan.mode' = '{}'{}", name,
           near.empty() ? fmt::format("; it can be {}", fmt::join(known, ", ")) : near);
    }
    mode_ = found->second;
    if (where_ && !Belongs(*where_, mode_)) {
      Fail(ErrorCode::kInvalid, "'scan.mode' = '{}' and '{}' contradict each other; leave one out",
           name, where_->key);
    }
    std::vector<std::string> needed;
    for (const Where& where : Wheres()) {
      if (Belongs(where, mode_)) needed.push_back(fmt::format("'{}'", where.key));
    }
    if (!needed.empty() && !where_) {
      Fail(ErrorCode::kInvalid, "'scan.mode' = '{}' needs {}", name, fmt::join(needed, " or "));
    }
  }

  ScanStart FromMode() {
    ScanStart start;
    switch (mode_) {
      case Mode::kLatestFull:
        return start;
      case Mode::kLatest:
        if (streaming_) start.kind = ScanStart::Kind::kNewestOnly;
        return start;
      case Mode::kCompactedFull:
        return Compacted();
      case Mode::kFromTimestamp:
        return streaming_ ? ChangesSince(TimestampMs()) : State(AtTime(TimestampMs()));
      case Mode::kFromFileCreationTime:
        start.created_since_ms = Number(kFileCreation);
        return start;
      case Mode::kFromCreationTimestamp:
        return FromCreation(Number(kCreation));
      case Mode::kFromSnapshot:
        if (streaming_ && where_->key == std::string_view(kSnapshotId)) {
          return Changes(Number(kSnapshotId));
        }
        return State(NamedState());
      case Mode::kFromSnapshotFull:
        return FromSnapshotFull();
      case Mode::kIncremental:
        if (streaming_) {
          Fail(ErrorCode::kInvalid,
               "'{}' reads an interval of the history, which only batch mode does: SET "
               "'execution.runtime-mode' = 'batch', or follow it with 'scan.snapshot-id'",
               where_->key);
        }
        return Incremental();
    }
    return start;
  }

  static ScanStart State(Snapshot snapshot) {
    ScanStart start;
    start.kind = ScanStart::Kind::kState;
    start.state = std::move(snapshot);
    return start;
  }

  /// From a snapshot id on; what has expired is passed over.
  ScanStart Changes(int64_t id) const {
    ScanStart start;
    start.kind = ScanStart::Kind::kChanges;
    start.next = std::max(id, EarliestChange(table_).value_or(1));
    return start;
  }

  ScanStart ChangesSince(int64_t time_ms) const {
    std::vector<int64_t> old = table_.changelogs.Ids();
    for (int64_t id : old) {
      std::optional<Snapshot> changelog = table_.changelogs.Find(id);
      if (changelog && changelog->time_ms >= time_ms) return Changes(id);
    }
    if (auto since = SnapshotSinceTime(table_.snapshots, time_ms)) return Changes(since->id);
    return Changes(table_.snapshots.LatestId().value_or(0) + 1);
  }

  Snapshot NeedSnapshot(int64_t id, const char* option) const {
    if (auto snapshot = table_.snapshots.Find(id)) return *snapshot;
    std::optional<int64_t> earliest = table_.snapshots.EarliestId();
    if (!earliest)
      Fail(ErrorCode::kNotFound, "it has no snapshots yet, so not {} ('{}')", id, option);
    Fail(ErrorCode::kNotFound, "there is no snapshot {} ('{}'); there are {} to {}", id, option,
         *earliest, table_.snapshots.LatestId().value_or(*earliest));
  }

  Snapshot NeedTag(const std::string& name) const {
    try {
      return table_.tags.Need(name).snapshot;
    } catch (const Error& error) {
      Fail(error.code(), "{}", error.text());
    }
  }

  Snapshot AtTime(int64_t time_ms) const {
    if (auto snapshot = SnapshotAtTime(table_.snapshots, time_ms)) return *snapshot;
    auto earliest = EarliestSnapshot(table_.snapshots);
    if (!earliest) Fail(ErrorCode::kNotFound, "it has no snapshots yet");
    Fail(ErrorCode::kNotFound, "there is no snapshot as old as {} ('{}'); the oldest is {} of {}",
         TimeText(time_ms), where_->key, earliest->id, TimeText(earliest->time_ms));
  }

  static std::string TimeText(int64_t time_ms) {
    return duckdb::Timestamp::ToString(duckdb::Timestamp::FromEpochMs(time_ms)) + " UTC";
  }

  int64_t TimestampMs() const {
    return Has(kTimestampMillis) ? Number(kTimestampMillis)
                                 : ParsedTime(kTimestamp, Text(kTimestamp));
  }

  int64_t ParsedTime(const char* key, const std::string& text) const {
    return ParseTimestampMs(table_.context.database, fmt::format("'{}'", key), text,
                            Text(kTimeZoneOption));
  }

  /// The state that an id, a tag, a version or a watermark names.
  Snapshot NamedState() const {
    if (streaming_ && !Has(kSnapshotId)) {
      Fail(ErrorCode::kInvalid,
           "'{}' names a state, which only batch mode reads; follow the table with "
           "'scan.snapshot-id' or 'scan.timestamp'",
           where_->key);
    }
    if (Has(kTagName)) return NeedTag(Text(kTagName));
    if (Has(kWatermark)) {
      int64_t watermark = Number(kWatermark);
      if (auto snapshot = SnapshotSinceWatermark(table_.snapshots, watermark)) return *snapshot;
      Fail(ErrorCode::kNotFound, "no snapshot has a watermark of {} ('{}') or more", watermark,
           kWatermark);
    }
    if (!Has(kVersion)) return NeedSnapshot(Number(kSnapshotId), kSnapshotId);
    std::string version = Text(kVersion);
    constexpr std::string_view kMark = "watermark-";
    if (auto tag = table_.tags.Find(version)) return tag->snapshot;
    if (version.starts_with(kMark)) {
      auto watermark = WholeNumber(std::string_view(version).substr(kMark.size()));
      auto snapshot =
          watermark ? SnapshotSinceWatermark(table_.snapshots, *watermark) : std::nullopt;
      if (snapshot) return *snapshot;
    }
    if (auto id = WholeNumber(version)) return NeedSnapshot(*id, kVersion);
    return NeedTag(version);
  }

  ScanStart FromSnapshotFull() const {
    int64_t id = Number(kSnapshotId);
    if (streaming_) id = std::max(id, table_.snapshots.EarliestId().value_or(id));
    return State(NeedSnapshot(id, kSnapshotId));
  }

  /// The newest snapshot that a compaction made (with `full-compaction.delta-commits` = n only
  /// those of every n-th commit); the newest at all when there is none.
  ScanStart Compacted() const {
    int64_t every =
        std::max<int64_t>(1, GetInt(table_.options, "full-compaction.delta-commits", 1));
    std::optional<Snapshot> latest = table_.snapshots.Latest();
    if (!latest) return {};
    for (auto snapshot = latest; snapshot; snapshot = table_.snapshots.Find(snapshot->id - 1)) {
      bool counts = snapshot->commit_identifier % every == 0 ||
                    snapshot->commit_identifier == kBatchCommitIdentifier;
      if (snapshot->commit_kind == CommitKind::kCompact && counts) return State(*snapshot);
    }
    return State(*latest);
  }

  /// The first snapshot made then or later, if older ones show that it is the first; else the
  /// newest state, by its files.
  ScanStart FromCreation(int64_t time_ms) const {
    auto earliest = EarliestSnapshot(table_.snapshots);
    if (earliest && earliest->time_ms < time_ms) {
      if (auto since = SnapshotSinceTime(table_.snapshots, time_ms)) {
        return streaming_ ? Changes(since->id) : State(*since);
      }
    }
    ScanStart start;
    start.created_since_ms = time_ms;
    return start;
  }

  // ---------------------------------------------------------------------------- intervals

  std::string BetweenMode() const {
    return GetChoice(table_.options, "incremental-between-scan-mode", "auto",
                     {"auto", "delta", "changelog", "diff"});
  }

  ScanStart Between(IncrementalRange range) const {
    ScanStart start;
    start.kind = ScanStart::Kind::kIncremental;
    start.incremental = std::move(range);
    return start;
  }

  static ScanStart Nothing() {
    ScanStart start;
    start.kind = ScanStart::Kind::kNothing;
    return start;
  }

  ScanStart Delta(int64_t after, int64_t upto, const char* key) const {
    int64_t earliest = table_.snapshots.EarliestId().value_or(0);
    int64_t latest = table_.snapshots.LatestId().value_or(0);
    if (after < earliest - 1 || upto > latest) {
      Fail(ErrorCode::kNotFound,
           "'{}' asks for the changes after snapshot {} up to {}; there are snapshots {} to {}",
           key, after, upto, earliest, latest);
    }
    std::string mode = BetweenMode();
    bool changelog = mode == "changelog" || (mode == "auto" && table_.parsed.changelog_producer !=
                                                                   ChangelogProducer::kNone);
    IncrementalRange range;
    range.mode = changelog ? IncrementalRange::Mode::kChangelog : IncrementalRange::Mode::kDelta;
    range.after = after;
    range.upto = upto;
    return Between(std::move(range));
  }

  ScanStart Diff(Snapshot from, Snapshot to) const {
    IncrementalRange range;
    range.mode = IncrementalRange::Mode::kDiff;
    range.after = from.id;
    range.upto = to.id;
    range.from = std::move(from);
    range.to = std::move(to);
    return Between(std::move(range));
  }

  ScanStart Incremental() const {
    if (Has(kBetween)) return BetweenNames();
    if (Has(kBetweenTimestamp)) return BetweenTimes();
    return ToAutomaticTag();
  }

  /// From the automatic tag before to the one that is named; nothing while one of them is missing.
  ScanStart ToAutomaticTag() const {
    TagPeriods periods(table_.options);
    std::string name = Text(kToAutoTag);
    std::optional<int64_t> time = periods.TimeOf(name);
    if (!time) {
      Fail(ErrorCode::kInvalid, "'{}' = '{}' is no name of an automatic tag, as {}", kToAutoTag,
           name, periods.NameOf(0));
    }
    std::optional<Tag> to = table_.tags.Find(name);
    std::optional<int64_t> before;
    Snapshot from;
    for (const NamedTag& tag : table_.tags.All()) {
      std::optional<int64_t> other = periods.TimeOf(tag.name);
      if (!other || *other >= *time || (before && *before >= *other)) continue;
      before = other;
      from = tag.tag.snapshot;
    }
    if (!to || !before) return Nothing();
    return Diff(from, to->snapshot);
  }

  ScanStart BetweenNames() const {
    auto [first, second] = SplitPair(kBetween, Text(kBetween));
    auto from = table_.tags.Find(first), to = table_.tags.Find(second);
    if (from && to) {
      if (from->snapshot.id > to->snapshot.id) {
        Fail(ErrorCode::kInvalid, "'{}' = '{}': tag '{}' (snapshot {}) is after '{}' (snapshot {})",
             kBetween, Text(kBetween), first, from->snapshot.id, second, to->snapshot.id);
      }
      if (from->snapshot.id == to->snapshot.id) return Nothing();
      if (GetBool(table_.options, "incremental-between-tag-to-snapshot", false)) {
        return Delta(from->snapshot.id, to->snapshot.id, kBetween);
      }
      return Diff(from->snapshot, to->snapshot);
    }
    auto after = WholeNumber(first), upto = WholeNumber(second);
    if (!after || !upto) {
      Fail(ErrorCode::kNotFound,
           "'{}' = '{}': these are neither two tags nor two snapshot ids ({} is no tag)", kBetween,
           Text(kBetween), from ? second : first);
    }
    if (*after > *upto) {
      Fail(ErrorCode::kInvalid, "'{}' = '{}': the second snapshot is before the first", kBetween,
           Text(kBetween));
    }
    if (*after == *upto || !table_.snapshots.EarliestId()) return Nothing();
    if (BetweenMode() == "diff") {
      return Diff(NeedSnapshot(*after, kBetween), NeedSnapshot(*upto, kBetween));
    }
    return Delta(*after, *upto, kBetween);
  }

  ScanStart BetweenTimes() const {
    auto [first, second] = SplitPair(kBetweenTimestamp, Text(kBetweenTimestamp));
    auto time = [&](const std::string& text) {
      auto number = WholeNumber(text);
      return number ? *number : ParsedTime(kBetweenTimestamp, text);
    };
    int64_t from_ms = time(first), to_ms = time(second);
    auto earliest = EarliestSnapshot(table_.snapshots);
    auto latest = table_.snapshots.Latest();
    if (!earliest || !latest) return Nothing();
    if (from_ms > to_ms) {
      Fail(ErrorCode::kInvalid, "'{}' = '{}': the second time is before the first",
           kBetweenTimestamp, Text(kBetweenTimestamp));
    }
    if (from_ms == to_ms || from_ms > latest->time_ms || to_ms < earliest->time_ms)
      return Nothing();
    auto from = SnapshotAtTime(table_.snapshots, from_ms);
    auto to = SnapshotAtTime(table_.snapshots, to_ms);
    if (!to) to = latest;
    if (BetweenMode() == "diff") return Diff(from ? *from : *earliest, *to);
    return Delta(from ? from->id : earliest->id - 1, to->id, kBetweenTimestamp);
  }

  const TableState& table_;
  const bool streaming_;
  const Where* where_ = nullptr;
  Mode mode_ = Mode::kLatestFull;
};

}  // namespace

std::optional<int64_t> EarliestChange(const TableState& table) {
  std::vector<int64_t> old = table.changelogs.Ids();
  return old.empty() ? table.snapshots.EarliestId() : std::optional(old.front());
}

ScanStart ResolveScanStart(const TableState& table, bool streaming) {
  return StartResolver(table, streaming).Resolve();
}

std::optional<Snapshot> TravelTo(const TableState& table) {
  return StartResolver(table, false).Travel();
}

bool HasScanOptions(const Options& options) {
  return std::any_of(Wheres().begin(), Wheres().end(), [&](const Where& where) {
    auto found = options.find(where.key);
    return found != options.end() && !found->second.empty();
  });
}

Options WithoutScanOptions(Options options) {
  for (const Where& where : Wheres()) options[where.key] = "";
  options[kMode] = "";
  return options;
}

int64_t ParseTimestampMs(duckdb::DatabaseInstance& database, const std::string& what,
                         const std::string& text, const std::string& zone) {
  duckdb::timestamp_t local;
  if (duckdb::Timestamp::TryConvertTimestamp(text.data(), text.size(), local, false, nullptr,
                                             true) != duckdb::TimestampCastResult::SUCCESS) {
    Throw(ErrorCode::kInvalid, "{} = '{}' is no time; it is written as '2024-01-31 12:30:00.123'",
          what, text);
  }
  int64_t local_ms = duckdb::Timestamp::GetEpochMs(local);
  if (zone.empty() || zone == "UTC") return local_ms;
  duckdb::Connection connection(database);
  auto result =
      connection.Query("SELECT epoch_ms(timezone($1, $2))", Value(zone), Value::TIMESTAMP(local));
  if (result->HasError()) {
    Throw(ErrorCode::kInvalid, "{} = '{}' cannot be told in the time zone '{}': {}", what, text,
          zone, result->GetErrorObject().RawMessage());
  }
  return result->Fetch()->GetValue(0, 0).GetValue<int64_t>();
}

}  // namespace millrace
