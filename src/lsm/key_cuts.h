// key_cuts.h - where to cut overlapping runs by key, so that several threads can merge them.
#pragma once

#include "lsm/levels.h"

namespace millrace {

/// Keys from `from` on and below `below`, serialised; "": no bound.
struct KeyRange {
  RowBytes from = {};
  RowBytes below = {};
};

/// At most `count` ranges of about equal size that together hold every key, ascending. They begin
/// where files, row groups or pages of the largest run begin: small runs have one. `folder` is the
/// bucket's. Throws: as ParquetFileReader.
std::vector<KeyRange> ChooseKeyRanges(const LsmContext& context, const KeyValueLayout& layout,
                                      const std::string& folder, const Section& section,
                                      const KeyOrder& order, int64_t count);

/// Those that may hold keys of `range`.
std::vector<DataFileMeta> FilesInRange(const std::vector<DataFileMeta>& files,
                                       const KeyRange& range, const KeyOrder& order);

/// Bounds of the key's first column, by which row groups and pages are passed over; columns index
/// the layout's fields.
std::vector<FilePredicate> PredicatesOf(const KeyRange& range, const KeyValueLayout& layout);

}  // namespace millrace
