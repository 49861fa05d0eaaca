import Mail
import Testing

@testable import Delivery

@Suite struct `The route of a message` {
    static let steps = [IPMap.Step(pool: "main", budget: 1)]

    static func choice(_ routes: [String: IPMap.Condition]) -> RouteChoice {
        RouteChoice(routes.mapValues { IPMap.Route(steps, when: $0) })
    }

    static func mail(
        _ customer: String = "acme", from domain: String? = "shop.example", to recipient: String = "example.org",
        site: [String] = ["google", "mx1.google.com"], verdict: String? = nil
    ) -> RouteChoice.Mail {
        RouteChoice.Mail(
            customer: customer, sender: domain.map { .address(Address(localPart: "a", domain: $0)) } ?? .null,
            domain: recipient, site: site, verdict: verdict)
    }

    @Test func `is default where no other is for it`() {
        #expect(Self.choice([:]).route(of: Self.mail()) == "default")
        #expect(Self.choice(["x": IPMap.Condition(customers: ["globex"])]).route(of: Self.mail()) == "default")
    }

    @Test(arguments: [
        IPMap.Condition(customers: ["acme", "globex"]), IPMap.Condition(senderDomains: ["SHOP.example".lowercased()]),
        IPMap.Condition(senderDomains: ["*.example"]), IPMap.Condition(recipientDomains: ["example.org"]),
        IPMap.Condition(sites: ["google"]), IPMap.Condition(sites: ["google.com"]),
    ])
    func `is one whose condition holds`(_ when: IPMap.Condition) {
        #expect(Self.choice(["x": when]).route(of: Self.mail()) == "x")
    }

    @Test(arguments: [
        IPMap.Condition(nullSender: true), IPMap.Condition(senderDomains: ["*.shop.example"]),
        IPMap.Condition(recipientDomains: ["ample.org"]), IPMap.Condition(sites: ["oogle.com"]),
        IPMap.Condition(verdicts: ["add header"]), IPMap.Condition(customers: ["acme"], sites: ["yahoo"]),
    ])
    func `is none of which a condition does not hold`(_ when: IPMap.Condition) {
        #expect(Self.choice(["x": when]).route(of: Self.mail()) == "default")
    }

    @Test func `is that with more conditions, then that which names the customer, the sender, the domain, the site`() {
        let all: [(String, IPMap.Condition)] = [
            ("f", IPMap.Condition(customers: ["acme"], sites: ["google"])),
            ("e", IPMap.Condition(senderDomains: ["shop.example"], sites: ["google"])),
            ("d", IPMap.Condition(customers: ["acme"])), ("c", IPMap.Condition(senderDomains: ["shop.example"])),
            ("b", IPMap.Condition(recipientDomains: ["example.org"])), ("a", IPMap.Condition(sites: ["google"])),
        ]
        for index in all.indices {
            let routes = Dictionary(all[index...].map { ($0.0, $0.1) }, uniquingKeysWith: { first, _ in first })
            #expect(Self.choice(routes).route(of: Self.mail()) == all[index].0)
        }
        let domains = [
            "a": IPMap.Condition(senderDomains: ["*.example"]), "b": IPMap.Condition(senderDomains: ["shop.example"]),
        ]
        #expect(Self.choice(domains).route(of: Self.mail()) == "b")
    }

    @Test func `that an account names counts as one that asks for the customer alone`() {
        func route(_ routes: [String: IPMap.Condition], verdict: String? = nil) -> String {
            let routes = routes.mapValues { IPMap.Route(Self.steps, when: $0) }
            return RouteChoice(routes, assigned: ["acme": "z", "globex": "gone"]).route(of: Self.mail(verdict: verdict))
        }
        let named = ["z": IPMap.Condition()]
        func beside(_ when: IPMap.Condition) -> [String: IPMap.Condition] { named.merging(["a": when]) { $1 } }
        #expect(route(named) == "z")
        #expect(route(beside(IPMap.Condition(senderDomains: ["shop.example"]))) == "z")
        #expect(route(beside(IPMap.Condition(customers: ["acme"]))) == "z", "an operator said so of this one")
        #expect(route(beside(IPMap.Condition(customers: ["acme"], sites: ["google"]))) == "a")
        let bad = IPMap.Condition(senderDomains: ["shop.example"], verdicts: ["bad"])
        #expect(route(beside(bad), verdict: "bad") == "a")
        #expect(route([:]) == "default", "the map does not have it")
        #expect(route(["a": IPMap.Condition(sites: ["google"])]) == "a")
        let choice = RouteChoice(named.mapValues { IPMap.Route(Self.steps, when: $0) }, assigned: ["acme": "z"])
        #expect(!choice.isTrivial && choice.route(of: Self.mail("globex")) == "default")
    }

    @Test func `of <> and of a verdict are found`() {
        let choice = Self.choice([
            "back": IPMap.Condition(nullSender: true), "bad": IPMap.Condition(verdicts: ["add header"]),
        ])
        #expect(choice.route(of: Self.mail(from: nil)) == "back")
        #expect(choice.route(of: Self.mail(verdict: "add header")) == "bad")
    }
}
