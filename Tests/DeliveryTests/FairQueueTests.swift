import Testing

@testable import Delivery

@Suite struct FairQueueTests {
    @Test func `customers take turns, and each one's mail keeps its order`() {
        var queue = FairQueue<String>()
        for letter in ["a1", "a2", "a3"] { queue.append(letter, of: "acme") }
        queue.append("g1", of: "globex")
        #expect(queue.count == 4 && queue.count(of: "acme") == 3 && queue.count(of: "nobody") == 0)
        #expect(drain(&queue) == ["a1", "g1", "a2", "a3"])
        #expect(queue.isEmpty)
    }

    @Test func `a lane that ran empty takes its turn again`() {
        var queue = FairQueue<String>()
        queue.append("a1", of: "acme")
        #expect(drain(&queue) == ["a1"])
        queue.append("g1", of: "globex")
        queue.append("a2", of: "acme")
        queue.append("g2", of: "globex")
        #expect(drain(&queue) == ["g1", "a2", "g2"])
    }

    @Test func `what is put back is its customer's next`() {
        var queue = FairQueue<String>()
        queue.append("a1", of: "acme")
        queue.append("a2", of: "acme")
        queue.append("g1", of: "globex")
        #expect(queue.popFirst() == "a1")
        queue.prepend("a1", of: "acme")
        #expect(drain(&queue) == ["g1", "a1", "a2"])
    }

    @Test func `what suits is taken in turn, from wherever its customer has it`() {
        var queue = FairQueue<String>()
        for letter in ["a1", "a2", "a3"] { queue.append(letter, of: "acme") }
        queue.append("g1", of: "globex")
        #expect(queue.first { $0.hasSuffix("1") } == "a1" && queue.first { $0 == "a3" } == "a3")
        #expect(queue.popFirst(of: 9) { $0 != "a1" } == "g1")
        #expect(queue.popFirst(of: 9) { $0 == "a2" } == "a2")
        #expect(queue.popFirst(of: 1) { $0 == "a3" } == nil)
        #expect(queue.remove(of: "acme") { $0 == "a3" } == "a3" && queue.remove(of: "globex") { _ in true } == nil)
        queue.append("g2", of: "globex")
        queue.append("a4", of: "acme")
        #expect(queue.count == 3 && queue.popFirst(of: 9) { _ in true } == "a1")
        #expect(drain(&queue) == ["g2", "a4"])
    }

    @Test func `all of it can be looked at and taken out`() {
        var queue = FairQueue<String>()
        queue.append("a1", of: "acme")
        queue.append("g1", of: "globex")
        queue.append("a2", of: "acme")
        #expect(queue.some(2).count == 2 && Set(queue.some(9)) == ["a1", "a2", "g1"])
        #expect(Set(queue.removeAll()) == ["a1", "a2", "g1"])
        #expect(queue.isEmpty && queue.popFirst() == nil)
    }

    private func drain(_ queue: inout FairQueue<String>) -> [String] {
        var drawn: [String] = []
        while let next = queue.popFirst() { drawn.append(next) }
        return drawn
    }
}
