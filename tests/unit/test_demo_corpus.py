from collections import Counter
from itertools import islice

import pytest

from demo import corpus
from demo.tenants import Tenant, largest_tenants, tenant_of, tenants
from steward.search.names import TenantName


def test_the_same_documents_come_in_the_same_order_every_time():
    assert list(corpus.documents("sqs")) == list(corpus.documents("sqs"))


def test_no_two_documents_of_a_service_share_an_id():
    counts = Counter(document.id for document in corpus.documents("ecs"))
    assert counts
    assert max(counts.values()) == 1


def test_any_beginning_holds_every_kind():
    kinds = {document.source["kind"] for document in corpus.documents("s3", limit=len(corpus.KINDS))}
    assert kinds == set(corpus.KINDS)


def test_new_api_versions_come_before_old_ones():
    versions = [document.source["labels"]["version"] for document in corpus.documents("sdb", kinds=["operation"])]
    assert versions == sorted(versions, reverse=True)
    ec2 = next(corpus.documents("ec2", kinds=["operation"]))
    assert ec2.source["labels"]["version"] == "2016-11-15"


def test_no_more_documents_come_than_asked_for():
    assert len(list(corpus.documents("s3", limit=10))) == 10


def test_words_are_kept_once_and_the_rest_is_kept_whole():
    put = next(d for d in corpus.documents("s3", kinds=["operation"]) if d.source["name"] == "PutObject")
    assert "Adds an object to a bucket" in put.source["documentation"]
    assert put.source["body"]["http"] == {"method": "PUT", "requestUri": "/{Bucket}/{Key+}"}
    assert "documentation" not in put.source["body"]


def test_a_structure_holds_its_members_nested():
    tag = next(d for d in corpus.documents("s3", kinds=["shape"]) if d.source["name"] == "Tag")
    assert [(member["name"], member["kind"]) for member in tag.source["members"]] == [
        ("Key", "ObjectKey"),
        ("Value", "Value"),
    ]
    assert tag.source["body"]["required"] == ["Key", "Value"]


def test_a_member_is_routed_to_its_shape():
    member = next(corpus.documents("s3", kinds=["member"]))
    assert member.routing == member.source["name"].partition(".")[0]


def test_nested_endpoint_rules_are_documents_of_their_own():
    names = [document.source["name"] for document in corpus.documents("sqs", kinds=["rule"])]
    assert any("." in name for name in names)


@pytest.mark.parametrize("kind", corpus.KINDS)
def test_every_kind_fits_the_template(kind):
    found = islice(corpus.documents("s3", kinds=[kind]), 50)
    known = {"kind", "name", "service", "labels", "documentation", "members", "body"}
    assert all(document.source.keys() <= known for document in found)


def test_every_service_has_a_tenant_with_a_valid_name():
    names = [TenantName(tenant.name).value for tenant in tenants()]
    assert len(set(names)) == len(names) > 400


def test_a_service_with_a_short_name_still_has_a_tenant():
    assert tenant_of("s3") == Tenant("aws-s3", "s3")
    assert tenant_of("sqs") == Tenant("sqs", "sqs")


def test_the_largest_tenants_are_the_same_every_time_and_ordered():
    ten = largest_tenants(10)
    assert ten == largest_tenants(20)[:10]
    sizes = [corpus.model_bytes(tenant.service) for tenant in ten]
    assert sizes == sorted(sizes, reverse=True)
