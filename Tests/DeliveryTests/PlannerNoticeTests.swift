import DNS
import Mail
import Queue
import Testing

@testable import Delivery

/// What the planner gives the queue to tell senders with, and how notices leave.
@Suite struct `The planner and notices` {
    func scene(_ nullPool: [Int] = []) throws -> Scene {
        var listed = ReplyRule(id: "listed", cause: .source, source: "test", examples: ["550 5.7.1 blocked using x"])
        listed.patterns = ["blocked using"]
        return Scene(nullPool: nullPool, rules: try ReplyRules([listed]))
    }

    func opened(_ scene: inout Scene, notices: Bool = false) throws -> (SessionID, Transaction) {
        scene.resolve()
        let plan = try #require(scene.openings().first)
        scene.planner.opened(plan.id, facts: SessionFacts(tls: nil, notices: notices), at: scene.now)
        scene.collect()
        return try #require(scene.transactions().first)
    }

    @Test func `a refusal is quoted with host, cause and words`() throws {
        var scene = try scene()
        scene.arrive(scene.work(["a@b.example"]))
        let (id, _) = try opened(&scene)
        scene.answer(id, [.said(550, EnhancedStatus(5, 1, 1), "no such user", at: .rcpt)])
        let end = try #require(scene.settlements().first?.ended.first)
        #expect(end.quoted?.host == "mx.b.example")
        #expect(end.quoted?.cause == .recipient)
        #expect(end.report?.kind == .failed)
        #expect(end.report?.status == EnhancedStatus(5, 1, 1))
    }

    @Test func `a host that will not tell of success is noted where it was asked for`() throws {
        for (tells, wants) in [(false, true), (true, true), (false, false)] {
            var scene = try scene()
            var request = NoticeRequest()
            request.add(Address(localPart: "a", domain: "b.example"), RecipientRequest(notify: wants ? .success : []))
            scene.arrive(scene.work(["a@b.example", "c@b.example"], request: request))
            let (id, _) = try opened(&scene, notices: tells)
            scene.answer(id, [.accepted, .accepted])
            let ended = try #require(scene.settlements().first?.ended)
            #expect(ended.map(\.isRelayed) == [wants && !tells, false])
        }
    }

    @Test(arguments: [
        (Resolution.NoHosts.nullMX, "5.1.10"), (.noSuchDomain, "5.1.2"), (.noUsableHost("nothing"), "5.4.4"),
    ])
    func `a domain that takes no mail has its own status`(_ reason: Resolution.NoHosts, _ status: String) throws {
        var scene = try scene()
        scene.arrive(scene.work(["a@b.example"]))
        scene.resolve { _ in .never(reason) }
        let report = try #require(scene.settlements().first?.ended.first?.report)
        #expect(report.status.description == status)
        #expect(report.refusal?.cause == .domain)
    }

    @Test func `what no host answers for has its reason when it expires`() throws {
        var scene = try scene()
        scene.arrive(scene.work(["a@b.example"]))
        scene.resolve { _ in .later("SERVFAIL") }
        let kept = try #require(scene.settlements().first?.remaining?.progress.firstRefusal)
        #expect(kept.description == "SERVFAIL (resolve)")
        #expect(kept.weight == 0)
    }

    @Test func `mail from <> takes its own route, other mail does not`() throws {
        for _ in 0..<20 {
            var scene = try scene([2])
            scene.arrive(scene.work(["a@b.example"]))
            scene.resolve()
            #expect(scene.openings().map(\.source.name) == ["lab-3"])
        }
        var names: Set<String> = []
        for seed in 1...20 {
            var scene = Scene(seed: UInt64(seed), nullPool: [2], rules: try ReplyRules([]))
            let sender = ReversePath.address(Address(localPart: "eve", domain: "example.com"))
            scene.arrive(scene.work(["a@b.example"], sender: sender))
            scene.resolve()
            names.formUnion(scene.openings().map(\.source.name))
        }
        #expect(names.count > 2)
    }

    @Test func `a session of the wrong pool is not used for mail from <>`() throws {
        var scene = try scene([2])
        let sender = ReversePath.address(Address(localPart: "eve", domain: "example.com"))
        scene.arrive(scene.work(["a@b.example"], sender: sender))
        let (id, _) = try opened(&scene)
        let used = scene.planner.sessions[id]?.plan.source.name
        scene.arrive(scene.work(["c@b.example"]))
        scene.answer(id, [.accepted])
        let sends = scene.transactions()
        if used == "lab-3" {
            #expect(sends.count == 1)
        } else {
            #expect(sends.isEmpty)
            #expect(scene.openings().map(\.source.name) == ["lab-3"])
        }
    }
}
