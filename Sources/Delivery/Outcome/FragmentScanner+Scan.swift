extension FragmentScanner {
    /// Calls `found` for each fragment that stands in the text at the edges of words it asks for, by where it ends.
    @inline(__always)
    func scan(_ text: [UInt8], found: (Hit) -> Void) {
        text.withUnsafeBufferPointer { text in
            classes.withUnsafeBufferPointer { classes in
                states.withUnsafeBufferPointer { states in
                    labels.withUnsafeBufferPointer { labels in
                        rows.withUnsafeBufferPointer { rows in
                            codes.withUnsafeBufferPointer { codes in
                                let machine = Machine(
                                    classes: classes, states: states, labels: labels, rows: rows, codes: codes,
                                    width: width)
                                scan(text, machine, found)
                            }
                        }
                    }
                }
            }
        }
    }

    @inline(__always)
    private func scan(_ text: UnsafeBufferPointer<UInt8>, _ machine: Machine, _ found: (Hit) -> Void) {
        ends.withUnsafeBufferPointer { ends in
            shapes.withUnsafeBufferPointer { shapes in
                var code = machine.codes[0]
                var words: Int32 = 0
                var before: UInt8 = 0
                for index in 0..<text.count {
                    let byte = ReplyText.HostMark.plain(text[index])
                    words &+= ReplyText.advance(byte, after: before)
                    before = byte
                    code = machine.next(code, byte)
                    if code & Self.ending == 0 { continue }
                    let end = index &+ 1
                    let isEdge = end == text.count || !ReplyText.isWordByte(text[end])
                    for place in machine.ends(at: code) {
                        let fragment = Int(ends[place])
                        let shape = shapes[fragment]
                        if shape.edgeAtEnd, !isEdge { continue }
                        if shape.isPlain, ReplyText.HostMark.isLabel(text, end &- Int(shape.length), end) { continue }
                        found(
                            Hit(
                                fragment: fragment, start: Int32(truncatingIfNeeded: end) &- shape.length,
                                end: Int32(truncatingIfNeeded: end), wordsAtStart: words &- shape.words,
                                wordsAtEnd: words))
                    }
                }
            }
        }
    }

    /// The tables without their owners: none is retained or checked at each byte.
    private struct Machine {
        let classes: UnsafeBufferPointer<UInt8>
        let states: UnsafeBufferPointer<State>
        let labels: UnsafeBufferPointer<UInt8>
        let rows: UnsafeBufferPointer<Int32>
        let codes: UnsafeBufferPointer<Int32>
        let width: Int

        /// Where a byte leads: to a child, or to one of the suffixes' children; the roots have rows.
        @inline(__always)
        func next(_ start: Int32, _ byte: UInt8) -> Int32 {
            var code = start
            while code < 0 {
                let state = Int(code & FragmentScanner.place)
                var child = Int(states[state].firstChild)
                let end = Int(states[state &+ 1].firstChild)
                while child < end {
                    if labels[child] == byte { return codes[child] }
                    child &+= 1
                }
                code = states[state].suffix
            }
            return rows[Int(code & FragmentScanner.place) &+ Int(classes[Int(byte)])]
        }

        @inline(__always)
        func ends(at code: Int32) -> Range<Int> {
            let place = Int(code & FragmentScanner.place)
            let state = code < 0 ? place : Int(rows[place &+ width])
            return Int(states[state].firstEnd)..<Int(states[state &+ 1].firstEnd)
        }
    }
}
