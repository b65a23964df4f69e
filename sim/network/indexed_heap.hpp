#pragma once
// A binary min-heap of numbers in a plain vector that tells each number its place, so that one can
// be moved or taken out from the middle. `less(a, b)` orders numbers, `place(a)` is where a's place
// is kept.

#include <cstdint>
#include <vector>

namespace orrery::heap {

template <class Less, class Place>
void raise(std::vector<std::uint32_t>& heap, std::size_t at, Less less, Place place) {
    const std::uint32_t number = heap[at];
    for (; at > 0; at = (at - 1) / 2) {
        const std::uint32_t above = heap[(at - 1) / 2];
        if (!less(number, above)) break;
        heap[at] = above;
        place(above) = static_cast<std::uint32_t>(at);
    }
    heap[at] = number;
    place(number) = static_cast<std::uint32_t>(at);
}

template <class Less, class Place>
void lower(std::vector<std::uint32_t>& heap, std::size_t at, Less less, Place place) {
    const std::uint32_t number = heap[at];
    while (true) {
        std::size_t below = 2 * at + 1;
        if (below >= heap.size()) break;
        if (below + 1 < heap.size() && less(heap[below + 1], heap[below])) ++below;
        if (!less(heap[below], number)) break;
        heap[at] = heap[below];
        place(heap[at]) = static_cast<std::uint32_t>(at);
        at = below;
    }
    heap[at] = number;
    place(number) = static_cast<std::uint32_t>(at);
}

// The number at that place has a new key.
template <class Less, class Place>
void mend(std::vector<std::uint32_t>& heap, std::size_t at, Less less, Place place) {
    if (at > 0 && less(heap[at], heap[(at - 1) / 2])) {
        raise(heap, at, less, place);
    } else {
        lower(heap, at, less, place);
    }
}

template <class Less, class Place>
void push(std::vector<std::uint32_t>& heap, std::uint32_t number, Less less, Place place) {
    heap.push_back(number);
    raise(heap, heap.size() - 1, less, place);
}

template <class Less, class Place>
void erase(std::vector<std::uint32_t>& heap, std::size_t at, Less less, Place place) {
    const std::uint32_t last = heap.back();
    heap.pop_back();
    if (at == heap.size()) return;
    heap[at] = last;
    place(last) = static_cast<std::uint32_t>(at);
    mend(heap, at, less, place);
}

}  // namespace orrery::heap
