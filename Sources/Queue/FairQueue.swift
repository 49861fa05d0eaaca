import DequeModule

/// What waits for one site, drawn round-robin over customers so that no customer's newsletter delays another's letter.
package struct FairQueue<Element> {
    private var lanes: [String: Deque<Element>] = [:]
    /// Customers with something waiting; the first is next.
    private var turns: Deque<String> = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    /// How much of this customer waits here.
    package func count(of customer: String) -> Int { lanes[customer]?.count ?? 0 }

    package mutating func append(_ element: Element, of customer: String) {
        if lanes[customer, default: []].isEmpty { turns.append(customer) }
        lanes[customer, default: []].append(element)
        count += 1
    }

    /// Puts back what was drawn and could not be used; it is its customer's next.
    package mutating func prepend(_ element: Element, of customer: String) {
        if lanes[customer, default: []].isEmpty { turns.prepend(customer) }
        lanes[customer, default: []].prepend(element)
        count += 1
    }

    package mutating func popFirst() -> Element? {
        guard let customer = turns.popFirst(), let element = lanes[customer]?.popFirst() else { return nil }
        if lanes[customer]?.isEmpty ?? true {
            lanes[customer] = nil
        } else {
            turns.append(customer)
        }
        count -= 1
        return element
    }

    /// Up to `limit` elements, without taking them, in no order that means anything.
    package func some(_ limit: Int) -> [Element] {
        var found: [Element] = []
        for lane in lanes.values {
            for element in lane {
                guard found.count < limit else { return found }
                found.append(element)
            }
        }
        return found
    }

    package mutating func removeAll() -> [Element] {
        defer { self = FairQueue() }
        return lanes.values.flatMap { $0 }
    }
}
