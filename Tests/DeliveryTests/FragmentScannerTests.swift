import Mail
import Testing

@testable import Delivery

/// What the scanner finds against what a look at every place of the text finds.
@Suite struct FragmentScannerTests {
    private struct Found: Hashable {
        let fragment: Int
        let start: Int
        let end: Int
    }

    private func scanned(_ fragments: [ReplyPattern.Fragment], _ text: [UInt8]) -> [Found] {
        var found: [Found] = []
        FragmentScanner(fragments).scan(text) { hit in
            found.append(Found(fragment: hit.fragment, start: Int(hit.start), end: Int(hit.end)))
        }
        return found
    }

    private func searched(_ fragments: [ReplyPattern.Fragment], _ text: [UInt8]) -> Set<Found> {
        func isInWord(_ index: Int) -> Bool {
            index > 0 && index < text.count && ReplyText.isWordByte(text[index - 1])
                && ReplyText.isWordByte(text[index])
        }
        var found: Set<Found> = []
        for (number, fragment) in fragments.enumerated() {
            for start in text.indices where text[start...].starts(with: fragment.bytes) {
                let end = start + fragment.bytes.count
                guard fragment.openStart || !isInWord(start), fragment.openEnd || !isInWord(end) else { continue }
                found.insert(Found(fragment: number, start: start, end: end))
            }
        }
        return found
    }

    private struct Dice {
        var state: UInt64

        mutating func roll(_ sides: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(sides))
        }

        mutating func bytes(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in Array("aab  .b-é".utf8)[roll(10)] }
        }
    }

    @Test func `it finds what stands in a text, no more and no less`() {
        var dice = Dice(state: 88_172_645_463_325_252)
        for _ in 0..<300 {
            var fragments: Set<ReplyPattern.Fragment> = []
            for _ in 0..<12 {
                let bytes = dice.bytes(1 + dice.roll(4))
                fragments.insert(
                    .init(bytes: bytes, openStart: dice.roll(4) == 0, openEnd: dice.roll(3) == 0))
            }
            let all = Array(fragments)
            let text = dice.bytes(60)
            let found = scanned(all, text)
            let expected = searched(all, text)
            #expect(Set(found).symmetricDifference(expected).count == 0)
            #expect(Set(found).count == found.count, "each once")
            #expect(found.map(\.end) == found.map(\.end).sorted(), "by where they end")
        }
    }

    @Test func `fragments begin where words do, unless they say otherwise`() {
        func fragment(_ text: String, _ openStart: Bool = false) -> ReplyPattern.Fragment {
            .init(bytes: Array(text.utf8), openStart: openStart, openEnd: false)
        }
        let fragments = [fragment("spam"), fragment("am", true), fragment("[x"), fragment("spam mail")]
        let found = scanned(fragments, Array("antispam spam mail [x y[x am spam".utf8))
        #expect(found.count { $0.fragment == 0 } == 2)
        #expect(found.count { $0.fragment == 1 } == 4)
        #expect(found.count { $0.fragment == 2 } == 2)
        #expect(found.count { $0.fragment == 3 } == 1)
    }
}
