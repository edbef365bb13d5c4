package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

const byColour = "data.colour"

// survey uses a manager with its cache and every kind of client, and says what it saw.
func survey(namespace string) error {
	manager, err := start(namespace)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	err = manager.GetFieldIndexer().IndexField(ctx, &corev1.ConfigMap{}, byColour, func(object client.Object) []string {
		return []string{object.(*corev1.ConfigMap).Data["colour"]}
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	check(manager.GetCache().WaitForCacheSync(ctx), "the caches are filled")
	<-manager.Elected()
	fmt.Println("ok: it leads")

	kube := manager.GetClient()
	direct, err := client.New(manager.GetConfig(), client.Options{})
	must(err, "a client without a cache")
	typed(ctx, namespace, kube, direct)
	untyped(ctx, namespace, kube, direct)
	metadataOnly(ctx, namespace, kube, direct)
	subresources(ctx, namespace, direct)
	protobuf(ctx, namespace, manager)

	stop()
	must(<-ended, "the manager ends")
	lease := &unstructured.Unstructured{}
	lease.SetAPIVersion("coordination.k8s.io/v1")
	lease.SetKind("Lease")
	must(direct.Get(context.Background(), types.NamespacedName{Namespace: namespace, Name: "gardener"}, lease), "the lease is there")
	holder, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	check(holder == "", "the lease is let go", holder)
	return nil
}

func eventually(what string, holds func() bool) {
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return holds(), nil })
	must(err, what)
}

func typed(ctx context.Context, namespace string, kube, direct client.Client) {
	for name, colour := range map[string]string{"a": "red", "b": "blue", "c": "red"} {
		one := &corev1.ConfigMap{}
		one.Namespace, one.Name, one.Data = namespace, name, map[string]string{"colour": colour}
		one.Labels = map[string]string{"of": "survey"}
		must(kube.Create(ctx, one), "create "+name)
		check(one.UID != "" && one.ResourceVersion != "", "it has an identity")
	}
	again := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"}}
	check(apierrors.IsAlreadyExists(kube.Create(ctx, again)), "a name is taken once")
	var red corev1.ConfigMapList
	eventually("a field index finds two", func() bool {
		must(kube.List(ctx, &red, client.InNamespace(namespace), client.MatchingFields{byColour: "red"}), "list by index")
		return len(red.Items) == 2
	})
	var labelled corev1.ConfigMapList
	must(direct.List(ctx, &labelled, client.InNamespace(namespace), client.MatchingLabels{"of": "survey"}, client.Limit(2)), "list a page")
	check(len(labelled.Items) == 2 && labelled.Continue != "", "there is more", labelled.Continue)
	stale := labelled.Items[0].DeepCopy()
	fresh := labelled.Items[0].DeepCopy()
	fresh.Data["n"] = "1"
	must(direct.Update(ctx, fresh), "update")
	check(isConflict(direct.Update(ctx, stale)), "an older version is a conflict")
	guarded := client.MergeFromWithOptions(stale.DeepCopy(), client.MergeFromWithOptimisticLock{})
	stale.Data["m"] = "1"
	check(isConflict(direct.Patch(ctx, stale, guarded)), "a guarded patch too")
	_, err := controllerutil.CreateOrUpdate(ctx, direct, again, func() error {
		again.Data["made"] = "or updated"
		return nil
	})
	must(err, "create or update")
	before := again.DeepCopy()
	again.Labels["strategic"] = "yes"
	must(direct.Patch(ctx, again, client.StrategicMergeFrom(before)), "a strategic patch")
	mine := corev1ac.ConfigMap("applied", namespace).WithData(map[string]string{"x": "1"})
	must(direct.Apply(ctx, mine, client.FieldOwner("me")), "apply")
	other := corev1ac.ConfigMap("applied", namespace).WithData(map[string]string{"x": "2"})
	check(isConflict(direct.Apply(ctx, other, client.FieldOwner("you"))), "an apply in the way is a conflict")
	must(direct.Apply(ctx, other, client.FieldOwner("you"), client.ForceOwnership), "apply by force")
	tried := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tried"}}
	must(client.NewDryRunClient(direct).Create(ctx, tried), "a dry run")
	check(apierrors.IsNotFound(direct.Get(ctx, client.ObjectKeyFromObject(tried), tried)), "stores nothing")
	strict := client.WithFieldValidation(direct, metav1.FieldValidationStrict)
	must(strict.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "made-"}}), "a name is made up")
	uid := types.UID("00000000-0000-0000-0000-000000000000")
	check(isConflict(direct.Delete(ctx, again, client.Preconditions{UID: &uid})), "another object is not deleted")
	must(direct.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(namespace), client.MatchingLabels{"of": "survey"}), "delete all of them")
	eventually("the cache sees it", func() bool {
		must(kube.List(ctx, &red, client.InNamespace(namespace), client.MatchingLabels{"of": "survey"}), "list")
		return len(red.Items) == 0
	})
}

func untyped(ctx context.Context, namespace string, kube, direct client.Client) {
	garden := newGarden()
	garden.SetNamespace(namespace)
	garden.SetName("surveyed")
	controllerutil.AddFinalizer(garden, finalizer)
	must(unstructured.SetNestedStringSlice(garden.Object, []string{"rose"}, "spec", "plants"), "plants")
	must(kube.Create(ctx, garden), "create a garden")
	beds, _, _ := unstructured.NestedInt64(garden.Object, "spec", "beds")
	check(beds == 1 && garden.GetGeneration() == 1, "it has its defaults", beds)
	eventually("the cache has it", func() bool {
		return kube.Get(ctx, client.ObjectKeyFromObject(garden), newGarden()) == nil
	})
	must(direct.Delete(ctx, garden, client.PropagationPolicy(metav1.DeletePropagationForeground)), "delete it")
	must(direct.Get(ctx, client.ObjectKeyFromObject(garden), garden), "a finalizer keeps it")
	check(!garden.GetDeletionTimestamp().IsZero(), "it is being deleted")
	before := garden.DeepCopy()
	garden.SetFinalizers(nil)
	must(direct.Patch(ctx, garden, client.MergeFrom(before)), "let it go")
	eventually("it is gone", func() bool {
		return apierrors.IsNotFound(direct.Get(ctx, client.ObjectKeyFromObject(garden), newGarden()))
	})
}

func metadataOnly(ctx context.Context, namespace string, kube, direct client.Client) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hidden", Annotations: map[string]string{"a": "b"}}}
	secret.StringData = map[string]string{"password": "x"}
	must(direct.Create(ctx, secret), "create a secret")
	check(string(secret.Data["password"]) == "x", "it is encoded")
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	eventually("a cache of metadata has it", func() bool {
		return kube.Get(ctx, client.ObjectKeyFromObject(secret), meta) == nil && meta.Annotations["a"] == "b"
	})
	before := meta.DeepCopy()
	meta.Annotations["a"] = "c"
	must(direct.Patch(ctx, meta, client.MergeFrom(before)), "patch metadata")
	must(direct.Delete(ctx, secret), "delete the secret")
}

func subresources(ctx context.Context, namespace string, direct client.Client) {
	labels := map[string]string{"app": "web"}
	replicas := int32(1)
	web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}}
	web.Spec = appsv1.DeploymentSpec{
		Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		},
	}
	must(direct.Create(ctx, web), "create a deployment")
	check(web.Spec.Strategy.RollingUpdate != nil, "it has its defaults")
	web.Status.ObservedGeneration = web.Generation
	must(direct.Status().Update(ctx, web), "update its status")
	scale := &autoscalingv1.Scale{}
	must(direct.SubResource("scale").Get(ctx, web, scale), "read its scale")
	scale.Spec.Replicas = 5
	must(direct.SubResource("scale").Update(ctx, web, client.WithSubResourceBody(scale)), "write its scale")
	must(direct.Get(ctx, client.ObjectKeyFromObject(web), web), "read it")
	check(*web.Spec.Replicas == 5 && web.Generation == 2, "it is scaled", *web.Spec.Replicas, web.Generation)
	garden := newGarden()
	garden.SetNamespace(namespace)
	garden.SetName("scaled")
	must(unstructured.SetNestedMap(garden.Object, map[string]any{}, "spec"), "a spec")
	must(direct.Create(ctx, garden), "create another garden")
	its := &unstructured.Unstructured{}
	its.SetAPIVersion("autoscaling/v1")
	its.SetKind("Scale")
	must(direct.SubResource("scale").Get(ctx, garden, its), "read the scale of a custom object")
	beds, _, _ := unstructured.NestedInt64(its.Object, "spec", "replicas")
	check(beds == 1, "it is its default", beds)
	must(direct.Delete(ctx, garden), "delete the garden")
	must(direct.Delete(ctx, web), "delete the deployment")
}

func protobuf(ctx context.Context, namespace string, manager ctrl.Manager) {
	// the clients of built-in kinds speak protobuf unless told otherwise
	kube, err := kubernetes.NewForConfig(manager.GetConfig())
	must(err, "a clientset")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}
	pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	pod, err = kube.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
	must(err, "create a pod")
	check(pod.Status.Phase == corev1.PodPending && pod.Spec.RestartPolicy == corev1.RestartPolicyAlways, "it has its defaults")
	must(kube.CoreV1().Pods(namespace).Delete(ctx, "p", metav1.DeleteOptions{}), "delete the pod")
	_, resources, err := discovery.NewDiscoveryClientForConfigOrDie(manager.GetConfig()).ServerGroupsAndResources()
	must(err, "discovery")
	check(len(resources) > 10, "there are groups", len(resources))
}
