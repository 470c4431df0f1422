// display_width.h - how many terminal cells a UTF-8 text takes, and cutting it to so many.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace {

/// Cells of `text`: 2 for wide East Asian characters and emoji, 0 for combining marks.
size_t DisplayWidth(std::string_view text);

/// Appends `text` in exactly `width` cells: padded with blanks at the left or right, or cut with an
/// ellipsis as its last cell.
void AppendFitted(std::string_view text, size_t width, bool right_aligned, std::string& out);

}  // namespace millrace
