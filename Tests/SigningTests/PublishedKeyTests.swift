import Testing

@testable import Signing

@Suite("Published keys") struct PublishedKeyTests {
    @Test(arguments: SigningKey.Algorithm.allCases)
    func `a record is good as verifiers read it, however it is written`(_ algorithm: SigningKey.Algorithm) throws {
        let key = try SigningKey(making: algorithm)
        let other = try SigningKey(making: algorithm)
        func fault(_ text: String) -> String? { PublishedKey.fault(of: text, for: key) }
        #expect(fault(key.record) == nil)
        #expect(fault("\(key.record); n=a note;;\t") == nil)
        let spaced = key.record.replacing("; ", with: " ;\r\n ").replacing("p=", with: "p = \t")
            .replacing("a", with: "a ")
        #expect(fault(spaced.replacing("rsa ", with: "rsa")) == nil)
        #expect(fault("v=DKIM1; h=sha1:sha256; s=email; t=y;" + key.record.dropFirst(8)) == nil)
        #expect(fault(String(key.record.dropFirst(9))) == nil, "the version may be left out")
        #expect(fault(key.record.replacing("k=rsa; ", with: "")) == nil, "RSA is what is meant without")
        #expect(fault(other.record) == "it holds another key")
    }

    @Test func `what verifiers would not use is named`() throws {
        let key = try SigningKey(making: .ed25519)
        let record = key.record
        for (text, said) in [
            ("", "no key"), ("v=spf1 -all", "begin"), ("p=", "revoked"), ("v=DKIM1; p= ", "revoked"),
            (record.replacing("k=ed25519; ", with: ""), "another kind"), ("k=ed25519; \(record)", "no list"),
            ("n=x; \(record)", "begin"), (record.replacing("DKIM1", with: "DKIM2"), "begin"),
            ("\(record); h=sha1", "SHA-256"), ("\(record); s=other", "not for mail"), ("v=DKIM1; =x", "no list"),
            ("v", "no list"), (String(record.dropLast(5)), "another key"), ("v=DKIM1; P=x", "no key"),
        ] {
            let fault = try #require(PublishedKey.fault(of: text, for: key), "\(text)")
            #expect(fault.contains(said), "\(text): \(fault)")
        }
    }
}
