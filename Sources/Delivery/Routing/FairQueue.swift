import DequeModule

/// What waits for one site, drawn round-robin over customers so that no customer's newsletter delays another's letter.
struct FairQueue<Element> {
    /// A customer's lane stays when it has run empty: there are as many as customers write to the site.
    private var lanes: [Deque<Element>] = []
    private var places: [String: Int] = [:]
    /// Lanes with something waiting; the first is next.
    private var turns: Deque<Int> = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// How much of this customer waits here.
    func count(of customer: String) -> Int { places[customer].map { lanes[$0].count } ?? 0 }

    mutating func append(_ element: Element, of customer: String) {
        let lane = lane(of: customer)
        if lanes[lane].isEmpty { turns.append(lane) }
        lanes[lane].append(element)
        count += 1
    }

    /// Puts back what was drawn and could not be used; it is its customer's next.
    mutating func prepend(_ element: Element, of customer: String) {
        let lane = lane(of: customer)
        if lanes[lane].isEmpty { turns.prepend(lane) }
        lanes[lane].prepend(element)
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard let lane = turns.popFirst(), let element = lanes[lane].popFirst() else { return nil }
        if !lanes[lane].isEmpty { turns.append(lane) }
        count -= 1
        return element
    }

    /// The first in turn that suits, of at most `limit` that are looked at; its customer's turn is over with it.
    mutating func popFirst(of limit: Int, where suits: (Element) -> Bool) -> Element? {
        guard let place = place(of: limit, where: suits), let turn = turns.firstIndex(of: place.lane) else {
            return nil
        }
        turns.remove(at: turn)
        let element = lanes[place.lane].remove(at: place.depth)
        if !lanes[place.lane].isEmpty { turns.append(place.lane) }
        count -= 1
        return element
    }

    /// The first in turn that suits, left where it is.
    func first(where suits: (Element) -> Bool) -> Element? {
        place(of: count, where: suits).map { lanes[$0.lane][$0.depth] }
    }

    /// Takes out the first of a customer's that is meant.
    mutating func remove(of customer: String, where isMeant: (Element) -> Bool) -> Element? {
        guard let lane = places[customer], let index = lanes[lane].firstIndex(where: isMeant) else { return nil }
        count -= 1
        defer { if lanes[lane].isEmpty { turns.removeAll { $0 == lane } } }
        return lanes[lane].remove(at: index)
    }

    /// Goes through the lanes in turn, an element of each, then the next of each.
    private func place(of limit: Int, where suits: (Element) -> Bool) -> (lane: Int, depth: Int)? {
        var looked = 0
        var depth = 0
        var open = turns
        while !open.isEmpty {
            for lane in open {
                guard looked < limit else { return nil }
                looked += 1
                if suits(lanes[lane][depth]) { return (lane, depth) }
            }
            depth += 1
            open.removeAll { lanes[$0].count <= depth }
        }
        return nil
    }

    /// Up to `limit` elements, without taking them, in no order that means anything.
    func some(_ limit: Int) -> [Element] {
        var found: [Element] = []
        for lane in lanes {
            for element in lane {
                guard found.count < limit else { return found }
                found.append(element)
            }
        }
        return found
    }

    mutating func removeAll(where shouldGo: (Element) -> Bool) {
        for lane in lanes.indices {
            count -= lanes[lane].count
            lanes[lane].removeAll(where: shouldGo)
            count += lanes[lane].count
        }
        turns.removeAll { lanes[$0].isEmpty }
    }

    mutating func removeAll() -> [Element] {
        defer { self = FairQueue() }
        return lanes.flatMap { $0 }
    }

    private mutating func lane(of customer: String) -> Int {
        if let known = places[customer] { return known }
        places[customer] = lanes.count
        lanes.append([])
        return lanes.count - 1
    }
}
