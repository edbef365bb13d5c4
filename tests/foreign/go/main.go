// The gardener, written with controller-runtime.
//
//	KUBECONFIG=FILE gardener NAMESPACE          tends gardens until it is told to stop
//	KUBECONFIG=FILE gardener NAMESPACE survey   tries everything a client of controller-runtime has, and ends
//
// LEASE names the Lease that it leads by, if not its own.
package main

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	group     = "foreign.example.com"
	finalizer = group + "/gardener"
)

var gardens = schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Garden"}

func newGarden() *unstructured.Unstructured {
	garden := &unstructured.Unstructured{}
	garden.SetGroupVersionKind(gardens)
	return garden
}

func plantsOf(garden *unstructured.Unstructured) map[string]string {
	plants, _, _ := unstructured.NestedStringSlice(garden.Object, "spec", "plants")
	planted := map[string]string{}
	for _, plant := range plants {
		planted[plant] = "planted"
	}
	return planted
}

type gardener struct{ client.Client }

func (g *gardener) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	garden := newGarden()
	if err := g.Get(ctx, request.NamespacedName, garden); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !garden.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, g.remember(ctx, garden)
	}
	if controllerutil.AddFinalizer(garden, finalizer) {
		return ctrl.Result{}, g.Update(ctx, garden)
	}
	planted := plantsOf(garden)
	owner := metav1ac.OwnerReference().
		WithAPIVersion(gardens.GroupVersion().String()).WithKind(gardens.Kind).
		WithName(garden.GetName()).WithUID(garden.GetUID())
	beds := corev1ac.ConfigMap("garden-"+garden.GetName(), garden.GetNamespace()).
		WithOwnerReferences(owner).WithData(planted)
	if err := g.Apply(ctx, beds, client.FieldOwner("gardener"), client.ForceOwnership); err != nil {
		return ctrl.Result{}, err
	}
	if count, found, _ := unstructured.NestedInt64(garden.Object, "status", "planted"); found && count == int64(len(planted)) {
		return ctrl.Result{}, nil
	}
	if err := unstructured.SetNestedField(garden.Object, int64(len(planted)), "status", "planted"); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, g.Status().Update(ctx, garden)
}

func (g *gardener) remember(ctx context.Context, garden *unstructured.Unstructured) error {
	if !controllerutil.ContainsFinalizer(garden, finalizer) {
		return nil
	}
	epitaph := corev1ac.ConfigMap("epitaph-"+garden.GetName(), garden.GetNamespace()).
		WithData(map[string]string{"plants": fmt.Sprint(len(plantsOf(garden)))})
	if err := g.Apply(ctx, epitaph, client.FieldOwner("gardener"), client.ForceOwnership); err != nil {
		return err
	}
	before := garden.DeepCopy()
	controllerutil.RemoveFinalizer(garden, finalizer)
	return client.IgnoreNotFound(g.Patch(ctx, garden, client.MergeFrom(before)))
}

func leaseName() string {
	if name := os.Getenv("LEASE"); name != "" {
		return name
	}
	return "gardener"
}

func start(namespace string) (ctrl.Manager, error) {
	return ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Metrics:                 server.Options{BindAddress: "0"},
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		LeaderElection:          true,
		LeaderElectionID:        leaseName(),
		LeaderElectionNamespace: namespace,
		// a lease that is let go at once lets the next one begin
		LeaderElectionReleaseOnCancel: true,
	})
}

func tend(namespace string) error {
	manager, err := start(namespace)
	if err != nil {
		return err
	}
	tender := &gardener{manager.GetClient()}
	err = ctrl.NewControllerManagedBy(manager).Named("gardener").For(newGarden()).Owns(&corev1.ConfigMap{}).Complete(tender)
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	ctrl.SetLogger(klog.Background())
	var err error
	if len(os.Args) > 2 {
		err = survey(os.Args[1])
	} else {
		err = tend(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check stops the survey with a word about what is wrong.
func check(holds bool, what string, seen ...any) {
	if !holds {
		panic(fmt.Sprintf("%s: %v", what, seen))
	}
	fmt.Println("ok:", what)
}

func must(err error, what string) {
	check(err == nil, what, err)
}

func isConflict(err error) bool { return apierrors.IsConflict(err) }
