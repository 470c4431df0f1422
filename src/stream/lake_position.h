// lake_position.h - where the reading of lake tables stands, as text for checkpoints.
#pragma once

#include <string>
#include <vector>

#include "io/file_system.h"

namespace millrace {

/// Which making of the lake table in `folder` this is: a table that was dropped and made anew is
/// another one. "" when there is none.
std::string LakeTableIdentity(FileSystem& files, const std::string& folder);

/// Where the reading of one table stands: a part of the position of a lake source.
struct LakeTablePosition {
  std::string identity;     // LakeTableIdentity.
  int64_t snapshot = -1;    // The last one read; 0: begun on an empty table; -1: not begun.
  int64_t log_offset = -1;  // Next batch of the log; -1: the log is not read.
};
/// In the order of the source's tables. Throws: Error(kCorrupt).
std::vector<LakeTablePosition> ParseLakePosition(const std::string& position);
std::string LakePosition(const std::vector<LakeTablePosition>& tables);
/// Throws: Error(kUnsupported) when what was read in many steps between two positions cannot be
/// read in one: of what came through a log and what others wrote into the files alone the order is
/// lost.
void RefuseDisorder(const std::string& from, const std::string& to);

}  // namespace millrace
