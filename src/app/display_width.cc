#include "app/display_width.h"

#include "utf8proc_wrapper.hpp"

namespace millrace {

namespace {

bool IsPlainAscii(std::string_view text) {
  unsigned char all = 0;
  for (unsigned char c : text) all |= c;
  return all < 0x80;
}

// Cells of the grapheme at `position`; 1 for bytes that are no UTF-8.
size_t WidthAt(std::string_view text, size_t position) {
  return duckdb::Utf8Proc::RenderWidth(text.data(), text.size(), position);
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  if (IsPlainAscii(text)) return text.size();
  if (!duckdb::Utf8Proc::IsValid(text.data(), text.size())) return text.size();
  size_t width = 0;
  for (size_t at = 0; at < text.size();) {
    width += WidthAt(text, at);
    at = duckdb::Utf8Proc::NextGraphemeCluster(text.data(), text.size(), at);
  }
  return width;
}

void AppendFitted(std::string_view text, size_t width, bool right_aligned, std::string& out) {
  size_t needed = DisplayWidth(text);
  if (needed <= width) {
    if (right_aligned) out.append(width - needed, ' ');
    out += text;
    if (!right_aligned) out.append(width - needed, ' ');
    return;
  }
  bool valid = duckdb::Utf8Proc::IsValid(text.data(), text.size());
  size_t used = 0, at = 0;
  while (at < text.size()) {
    size_t cells = valid ? WidthAt(text, at) : 1;
    if (used + cells > width - 1) break;
    used += cells;
    at = valid ? duckdb::Utf8Proc::NextGraphemeCluster(text.data(), text.size(), at) : at + 1;
  }
  out += text.substr(0, at);
  out += "…";
  out.append(width - 1 - used, ' ');
}

}  // namespace millrace
