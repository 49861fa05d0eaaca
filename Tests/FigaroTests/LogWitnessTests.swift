import Mail
import Storage
import Testing

@testable import Figaro

/// Ends that an audit takes from the log where the history lost them.
struct LogWitnessTests {
    let one = MessageID(value: 77)
    let two = MessageID(value: 78)

    func ends(_ lines: [String]) -> [MessageID: Int] {
        var witness = LogWitness()
        for line in lines { witness.read(line, wanted: [one, two]) }
        return witness.ends
    }

    @Test func `counts deliveries and ends, in either form`() {
        let found = ends([
            "time=x level=info event=attempt message=\(one) attempt=1 to=a@b decision=delivered why=\"a b\"",
            "Nov 22 17:00:00 host figaro[1]: event=ended message=\(two) to=a@b,c@b recipients=2 how=failed",
            #"{"time":"x","event":"ended","message":"\#(two)","to":"a@b","how":"expired"}"#,
        ])
        #expect(found == [one: 1, two: 3])
    }

    @Test func `is not led by what a receiver says, nor by other events`() {
        let found = ends([
            #"event=attempt message=\#(one) reply="250 decision=delivered event=ended" decision=later"#,
            #"event=attempt message=\#(one) reply="250 \" decision=delivered" decision="another source""#,
            "event=accepted message=\(one) to=delivered@ended.example",
            "event=ended message=\(MessageID(value: 79)) to=a@b", "ended delivered", "",
            "{\"event\":\"ended\"}", "{ ended",
        ])
        #expect(found == [:])
    }
}
