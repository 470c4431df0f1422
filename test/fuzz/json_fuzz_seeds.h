// json_fuzz_seeds.h - a snapshot with everything that one can have.
#pragma once

#include "fuzz_target.h"
#include "meta/snapshot.h"

namespace millrace {

inline Snapshot SeedSnapshot() {
  Snapshot snapshot;
  snapshot.id = 7;
  snapshot.schema_id = 1;
  snapshot.base_manifest_list = "manifest-list-0";
  snapshot.base_manifest_list_size = 1006;
  snapshot.delta_manifest_list = "manifest-list-1";
  snapshot.delta_manifest_list_size = 1131;
  snapshot.changelog_manifest_list = "manifest-list-2";
  snapshot.changelog_manifest_list_size = 99;
  snapshot.index_manifest = "index-manifest-0";
  snapshot.commit_user = "job \"ä\"";
  snapshot.commit_identifier = kBatchCommitIdentifier;
  snapshot.commit_kind = CommitKind::kCompact;
  snapshot.time_ms = 1'700'000'000'000;
  snapshot.total_record_count = 30;
  snapshot.delta_record_count = -3;
  snapshot.changelog_record_count = 4;
  snapshot.watermark = -9'223'372'036'854'775'807;
  snapshot.statistics = "stat-0";
  snapshot.properties = {{"millrace.group", "job/3"}};
  snapshot.log_offsets = {{0, 1234}};
  return snapshot;
}

}  // namespace millrace
