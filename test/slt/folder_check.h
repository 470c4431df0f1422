// folder_check.h - for tests: damages files, and tells whether a folder is as it was.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace millrace {

/// The files that match `glob` (of glob(3)), sorted.
std::vector<std::string> MatchingFiles(const std::string& glob);

/// `how`: "cut" keeps the first half, "scribble" overwrites the middle, "delete" removes the file.
void Damage(const std::string& how, const std::string& path);

/// Path below `folder` -> bytes, of all its files.
using FolderContent = std::map<std::string, std::string>;
FolderContent ReadFolder(const std::string& folder);

/// "a was changed; b is gone": what is not in `after` as it was in `before`. New files are none of
/// it: nothing is written over by them.
std::string LostFiles(const FolderContent& before, const FolderContent& after);

}  // namespace millrace
